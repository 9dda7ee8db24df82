"""A phone built with PJSIP: registers, asks, writes and calls; then leaves."""

import sys
import time

import pjsua2 as pj


class Buddy(pj.Buddy):
    pass


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.logConfig.level = 1
if len(sys.argv) > 1:
    config.uaConfig.userAgent = sys.argv[1]
endpoint.libInit(config)
transport = pj.TransportConfig()
transport.port = 5060
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.libStart()
endpoint.audDevManager().setNullDev()

account_config = pj.AccountConfig()
account_config.idUri = "sip:101@192.0.2.10"
account_config.regConfig.registrarUri = "sip:192.0.2.10"
account_config.natConfig.udpKaIntervalSec = 1
account_config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", "101", 0, "1003"))
account = pj.Account()
account.create(account_config)
time.sleep(1)

buddy_config = pj.BuddyConfig()
buddy_config.uri = "sip:102@192.0.2.10"
buddy_config.subscribe = True
buddy = Buddy()
buddy.create(account, buddy_config)
text = pj.SendInstantMessageParam()
text.content = "hello"
buddy.sendInstantMessage(text)
time.sleep(1)

call = pj.Call(account)
call.makeCall("sip:102@192.0.2.10", pj.CallOpParam(True))
time.sleep(2)
endpoint.hangupAllCalls()
time.sleep(1)
endpoint.libDestroy()
