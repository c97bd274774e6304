// A tour through ImapFlow, by two connections of one user: HOST PORT, and where the library is. The first step
// that is not met ends it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { ImapFlow } = createRequire(process.argv[4] + '/x')('imapflow');
const [host, port] = [process.argv[2], Number(process.argv[3])];

const letter = (subject) =>
    `From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: ${subject}\r\n` +
    `Message-ID: <${subject}@example.org>\r\nMIME-Version: 1.0\r\n` +
    'Content-Type: multipart/mixed; boundary=seam\r\n\r\n' +
    '--seam\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n' +
    '--seam\r\nContent-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n' +
    '--seam--\r\n';

async function connect() {
    const client = new ImapFlow({ host, port, secure: false, doSTARTTLS: false, logger: false,
        auth: { user: 'alice', pass: 'secret' } });
    client.on('error', (error) => { throw error; });
    await client.connect();
    return client;
}

const [one, two] = [await connect(), await connect()];

// Mailboxes.
const path = ['Projekte', 'Grün'];
assert.equal((await one.mailboxCreate(path)).created, true);
assert.equal((await one.mailboxCreate(path)).created, false);
const listed = (await one.list()).map((mailbox) => mailbox.path);
const name = listed.find((other) => other.endsWith('Grün'));
assert.ok(name, listed.join());

// Messages come in, and are read as a stream.
await one.mailboxOpen(name);
for (const subject of ['one', 'two', 'three']) {
    const saved = await one.append(name, letter(subject), subject === 'one' ? ['\\Seen', '$Label1'] : [],
        new Date('2024-05-06T07:08:09Z'));
    assert.ok(saved.uid > 0 && saved.uidValidity > 0n);
}
const all = await one.search({ all: true }, { uid: true });
assert.equal(all.length, 3);
const seen = [];
for await (const message of one.fetch('1:*',
    { uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true })) {
    assert.equal(message.source.toString(), letter(message.envelope.subject));
    assert.equal(message.size, message.source.length);
    assert.equal(message.bodyStructure.childNodes[1].part, '2');
    assert.equal(message.internalDate.toISOString(), '2024-05-06T07:08:09.000Z');
    seen.push([message.envelope.subject, [...message.flags].filter((flag) => flag !== '\\Recent').sort()]);
}
assert.deepEqual(seen, [['one', ['$Label1', '\\Seen']], ['two', []], ['three', []]]);
const { content } = await one.download('1', '2');
const chunks = [];
for await (const chunk of content) chunks.push(chunk);
assert.deepEqual([...Buffer.concat(chunks)], [0, 1, 2]);
assert.deepEqual(await one.search({ subject: 'TWO', seen: false }, { uid: true }), [all[1]]);
assert.deepEqual(await one.search({ or: [{ keyword: '$Label1' }, { body: 'nothing' }] }, { uid: true }), [all[0]]);

// Flags are changed, and the other connection hears of it while it idles.
const lock = await two.getMailboxLock(name);
const flagged = new Promise((resolve) => { two.on('flags', resolve); });
const idling = two.idle();
assert.equal(await one.messageFlagsAdd({ uid: `${all[1]}` }, ['\\Flagged'], { uid: true }), true);
const news = await flagged;
assert.ok(news.flags.has('\\Flagged'));
const exists = new Promise((resolve) => { two.on('exists', resolve); });
await one.append(name, letter('four'));
assert.equal((await exists).count, 4);
const expunged = new Promise((resolve) => { two.on('expunge', resolve); });
assert.equal(await one.messageDelete(`${all[0]}`, { uid: true }), true);
assert.equal((await expunged).seq, 1);
await two.noop();
await idling;
lock.release();

// Copied, moved, counted, renamed, deleted.
const moved = await one.messageMove('1:2', 'INBOX');
assert.equal(moved.uidMap.size, 2);
assert.equal((await two.status('INBOX', { messages: true, unseen: true })).messages, 2);
const copied = await one.messageCopy('1', 'INBOX');
assert.equal(copied.uidMap.size, 1);
assert.equal((await two.status('INBOX', { messages: true })).messages, 3);
await one.mailboxClose();
await two.mailboxClose();
await one.mailboxRename(name, ['Projekte', 'Blau']);
await one.mailboxSubscribe(['Projekte', 'Blau']);
assert.ok((await two.list()).some((mailbox) => mailbox.path.endsWith('Blau') && mailbox.subscribed));
await one.mailboxUnsubscribe(['Projekte', 'Blau']);
await one.mailboxDelete(['Projekte', 'Blau']);
assert.ok(!(await two.list()).some((mailbox) => mailbox.path.endsWith('Blau')));
await one.logout();
await two.logout();
