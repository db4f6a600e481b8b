// The npm package rtsp-streaming-server: streaming_server.js PUBLISHERS CLIENTS RTP
//
// PUBLISHERS and CLIENTS are its two ports, RTP the first of 32 that it takes for packets. It can't
// be told an address: it listens on all of them. It sends over UDP alone and has no pictures of its
// own: another program announces them.
//
// Standard output: "READY" once connections are taken.
const { createRequire } = require('module');
const { join } = require('path');

const installed = join(process.cwd(), 'target', 'servers', 'node', 'package.json');
const RtspServer = createRequire(installed)('rtsp-streaming-server').default;
const [serverPort, clientPort, rtpPortStart] = process.argv.slice(2).map(Number);

const server = new RtspServer({ serverPort, clientPort, rtpPortStart, rtpPortCount: 32 });
server.start().then(() => console.log('READY'));
