// written.mjs SOURCE FOLDER: the pictures of an mp4 as muxers for browsers write them, into FOLDER.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.argv[4]);
const bunny = require('mediabunny');
const muxer = require('mp4-muxer');

const [source, folder] = process.argv.slice(2, 4);

const input = new bunny.Input({
    source: new bunny.BufferSource(readFileSync(source)),
    formats: bunny.ALL_FORMATS,
});
const track = await input.getPrimaryVideoTrack();
const config = await track.getDecoderConfig();
const packets = [];
for await (const packet of new bunny.EncodedPacketSink(track).packets()) {
    packets.push(packet);
}

/** mediabunny, in each of the ways in which it writes an mp4. */
for (const fastStart of [false, 'in-memory', 'fragmented']) {
    const output = new bunny.Output({
        format: new bunny.Mp4OutputFormat({ fastStart }),
        target: new bunny.BufferTarget(),
    });
    const into = new bunny.EncodedVideoPacketSource('avc');
    output.addVideoTrack(into);
    await output.start();
    for (const [number, packet] of packets.entries()) {
        await into.add(packet, number === 0 ? { decoderConfig: config } : undefined);
    }
    await output.finalize();
    const name = `mediabunny-${fastStart || 'plain'}.mp4`;
    writeFileSync(`${folder}/${name}`, Buffer.from(output.target.buffer));
}

/** mp4-muxer, which wants to know by how much pictures are shown later than they are decoded. */
const { width, height } = { width: track.codedWidth, height: track.codedHeight };
const shown = packets.map((packet) => packet.timestamp).sort((one, other) => one - other);
for (const fastStart of [false, 'in-memory', 'fragmented']) {
    const target = new muxer.ArrayBufferTarget();
    const file = new muxer.Muxer({
        target,
        video: { codec: 'avc', width, height },
        fastStart,
        firstTimestampBehavior: 'offset',
    });
    for (const [number, packet] of packets.entries()) {
        const micros = Math.round(packet.timestamp * 1e6);
        const decoded = Math.round(shown[number] * 1e6);
        const meta = number === 0 ? { decoderConfig: config } : undefined;
        const length = Math.round(packet.duration * 1e6);
        const late = micros - decoded;
        file.addVideoChunkRaw(packet.data, packet.type, micros, length, meta, late);
    }
    file.finalize();
    writeFileSync(`${folder}/mp4-muxer-${fastStart || 'plain'}.mp4`, Buffer.from(target.buffer));
}
