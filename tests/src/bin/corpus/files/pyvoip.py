"""A phone built with pyVoIP: registers and calls."""

import time

from pyVoIP.VoIP import VoIPPhone

phone = VoIPPhone("192.0.2.10", 5060, "101", "1003", myIP="192.0.2.66", sipPort=5060)
phone.start()
time.sleep(1)
call = phone.call("102")
time.sleep(2)
call.hangup()
time.sleep(1)
phone.stop()
