// A client built with the npm package sip: asks, and registers.
const sip = require('sip');

sip.start({ address: '192.0.2.66', port: 5060, tcp: false }, () => {});

function request(method, number) {
  return {
    method,
    uri: 'sip:192.0.2.10',
    headers: {
      to: { uri: 'sip:101@192.0.2.10' },
      from: { uri: 'sip:101@192.0.2.10', params: { tag: 'a1b2c3d4' } },
      'call-id': '8a7c2e91@192.0.2.66',
      cseq: { method, seq: number },
      contact: [{ uri: 'sip:101@192.0.2.66:5060' }],
    },
  };
}

sip.send(request('OPTIONS', 1), () => {});
setTimeout(() => sip.send(request('REGISTER', 2), () => {}), 500);
setTimeout(() => process.exit(0), 1500);
