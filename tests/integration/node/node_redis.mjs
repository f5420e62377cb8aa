// node-redis (package `redis`) in both protocols: a client of RESP2 and one of RESP3 share one port.
import assert from 'node:assert/strict';
import {after, afterEach, test as register} from 'node:test';
import {BasicClientSideCache, createClient, createClientPool, defineScript, WatchError} from 'redis';
import {port, unique, until, within} from './checks.mjs';

const opened = [];
const failures = [];
afterEach(() => assert.deepEqual(failures, [], 'a client reported an error or reconnected'));

// `unstableResp3` is what node-redis wants to hear before it reads streams in RESP3.
async function connect(RESP, options = {}) {
  const socket = {port, host: '127.0.0.1', reconnectStrategy: false};
  const client = createClient({socket, RESP, unstableResp3: true, ...options});
  client.on('error', (error) => failures.push(error.message));
  client.on('reconnecting', () => failures.push('reconnecting'));
  opened.push(client);
  return client.connect();
}
after(() => opened.forEach((client) => client.isOpen && client.destroy()));

const blockedClients = async (client) => Number((await client.info('clients')).match(/blocked_clients:(\d+)/)[1]);

// The names of the streams in a reply of XREAD, with the ids of their entries: a list in RESP2, in RESP3 a map.
const streamEntries = (reply) => Array.isArray(reply)
  ? reply.map(({name, messages}) => [name, messages.map(({id}) => id)])
  : Object.entries(reply).map(([name, entries]) => [name, entries.map(([id]) => `${id}`)]);

for (const RESP of [2, 3]) {
  const main = await connect(RESP, {name: `node-redis-${RESP}`});
  const test = (name, run) => register(`RESP${RESP}: ${name}`, {timeout: 20000}, run);

  test('the name given at connect, and the protocol', async () => {
    assert.equal(await main.clientGetName(), `node-redis-${RESP}`);
    const [key, other] = [unique('h'), unique('z')];
    await main.hSet(key, {a: '1', b: '2'});
    assert.deepEqual({...await main.hGetAll(key)}, {a: '1', b: '2'});
    const raw = await main.sendCommand(['HGETALL', key]);
    assert.equal(Array.isArray(raw), RESP === 2);
    await main.zAdd(other, {score: 1.5, value: 'm'});
    const score = await main.sendCommand(['ZSCORE', other, 'm']);
    assert.equal(score, RESP === 2 ? '1.5' : 1.5);
  });

  test('databases at connect and by SELECT', async () => {
    const key = unique('db');
    const five = await connect(RESP, {database: 5});
    await five.set(key, 'five');
    assert.equal(await main.get(key), null);
    await main.select(5);
    assert.equal(await main.get(key), 'five');
    await main.select(0);
    assert.equal(await main.get(key), null);
  });

  test('what is sent in one turn is pipelined in order', async () => {
    const key = unique('n');
    const values = await Promise.all(Array.from({length: 5000}, () => main.incr(key)));
    assert.deepEqual(values, values.map((_, i) => i + 1));
  });

  test('MULTI, with an error inside', async () => {
    const key = unique('t');
    const failed = await main.multi().set(key, 'y').incr(key).get(key).exec().catch((e) => e);
    assert.equal(failed.replies[0], 'OK');
    assert.match(failed.replies[1].message, /not an integer/);
    assert.equal(failed.replies[2], 'y');
    await assert.rejects(main.multi().addCommand(['NOSUCHCOMMAND']).exec());
    assert.equal(await main.get(key), 'y');
  });

  test('WATCH sees the write of another client', async () => {
    const key = unique('w');
    const watcher = await connect(RESP);
    await watcher.watch(key);
    await main.set(key, 'rival');
    await assert.rejects(watcher.multi().set(key, 'mine').exec(), WatchError);
    await watcher.watch(key);
    assert.deepEqual(await watcher.multi().set(key, 'mine').exec(), ['OK']);
  });

  test('scripts go by EVALSHA and fall back when the server does not know them', async () => {
    const SCRIPT = `-- ${unique('script')}\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])`;
    const add = defineScript({
      SCRIPT, NUMBER_OF_KEYS: 1,
      parseCommand: (parser, key, by) => { parser.pushKey(key); parser.push(String(by)); },
      transformReply: undefined,
    });
    const client = await connect(RESP, {scripts: {add}});
    const key = unique('s');
    assert.equal(await client.add(key, 2), 2);
    assert.equal(await client.add(key, 3), 5);
    await client.scriptFlush();
    assert.equal(await client.add(key, 1), 6);
    const sha = await client.scriptLoad('return ARGV[1]');
    assert.equal(await client.evalSha(sha, {arguments: ['a']}), 'a');
    await assert.rejects(client.evalSha('f'.repeat(40)), /NOSCRIPT/);
  });

  test('streams: XREAD BLOCK wakes, XREADGROUP delivers', async () => {
    const key = unique('stream');
    const reader = await connect(RESP);
    const before = await blockedClients(main);
    const waiting = reader.xRead({key, id: '$'}, {BLOCK: 10000});
    await until(async () => await blockedClients(main) > before, 'the blocked reader');
    const id = await main.xAdd(key, '*', {field: 'value'});
    assert.deepEqual(streamEntries(await within(waiting, 'stream entry')), [[key, [id]]]);
    await main.xGroupCreate(key, 'group', '0');
    const mine = await reader.xReadGroup('group', 'me', {key, id: '>'}, {BLOCK: 1000, COUNT: 5});
    assert.deepEqual(streamEntries(mine), [[key, [id]]]);
    assert.equal(await reader.xReadGroup('group', 'me', {key, id: '>'}, {BLOCK: 50}), null);
    assert.equal(await main.xAck(key, 'group', id), 1);
  });

  test('BLPOP, BZPOPMIN and BLMOVE wait for others', async () => {
    const [list, zset, moved] = [unique('l'), unique('z'), unique('m')];
    const [one, two, three] = await Promise.all([connect(RESP), connect(RESP), connect(RESP)]);
    const before = await blockedClients(main);
    const waiting = [one.blPop(list, 10), two.bzPopMin(zset, 10), three.blMove(moved, moved, 'LEFT', 'RIGHT', 10)];
    await until(async () => await blockedClients(main) === before + 3, 'three blocked clients');
    await main.rPush(list, 'a');
    await main.zAdd(zset, {score: 5, value: 'b'});
    await main.rPush(moved, 'c');
    const [first, second, third] = await within(Promise.all(waiting), 'pops');
    assert.deepEqual([{...first}, {...second}, third],
      [{key: list, element: 'a'}, {key: zset, value: 'b', score: 5}, 'c']);
    assert.equal(await one.blPop(unique('nothing'), 0.1), null);
  });

  test('subscriptions: channels, patterns and shard channels', async () => {
    const subscriber = await connect(RESP);
    const messages = [];
    const note = (message, channel) => messages.push(`${channel} ${message}`);
    const [channel, shard] = [unique('news'), unique('shard')];
    const pattern = channel.slice(0, -1) + '?';
    await subscriber.subscribe(channel, note);
    await subscriber.pSubscribe(pattern, note);
    await subscriber.sSubscribe(shard, note);
    assert.equal(await main.publish(channel, 'hello'), 2);
    assert.equal(await main.sPublish(shard, 'there'), 1);
    await until(() => messages.length === 3, 'three messages');
    assert.deepEqual(messages.sort(), [`${channel} hello`, `${channel} hello`, `${shard} there`]);
    // RESP3 allows ordinary commands beside subscriptions.
    if (RESP === 3) assert.equal(await subscriber.echo('beside'), 'beside');
    await subscriber.unsubscribe(channel);
    await subscriber.pUnsubscribe(pattern);
    await subscriber.sUnsubscribe(shard);
    assert.equal(await main.publish(channel, 'nobody'), 0);
    assert.equal(`${await subscriber.echo('after')}`, 'after');
  });

  test('values of 8 MiB', async () => {
    const [key, value] = [unique('big'), 'x'.repeat(8 << 20)];
    await main.set(key, value);
    assert.ok(await main.get(key) === value);
    await main.del(key);
  });

  test('SCAN, MONITOR, and an orderly end', async () => {
    const prefix = unique('scan');
    await main.mSet(Object.fromEntries(Array.from({length: 300}, (_, i) => [`${prefix}:${i}`, `${i}`])));
    const keys = new Set();
    for await (const batch of main.scanIterator({MATCH: `${prefix}:*`, COUNT: 50})) {
      for (const key of batch) keys.add(key);
    }
    assert.equal(keys.size, 300);
    const monitor = await connect(RESP);
    const seen = [];
    await monitor.monitor((line) => seen.push(line));
    await main.set(prefix, 'monitored');
    await until(() => seen.some((line) => line.includes(`"SET" "${prefix}" "monitored"`)), 'the command in MONITOR');
    const leaving = await connect(RESP);
    await leaving.close();
    assert.equal(leaving.isOpen, false);
  });
}

register('RESP3: client-side caching forgets what another client changed', {timeout: 20000}, async () => {
  const cache = new BasicClientSideCache({ttl: 0, maxEntries: 100});
  const [reader, writer] = [await connect(3, {clientSideCache: cache}), await connect(2)];
  const key = unique('cached');
  await writer.set(key, 'old');
  assert.equal(await reader.get(key), 'old');
  assert.equal(await reader.get(key), 'old');
  assert.equal(cache.stats().hitCount, 1);
  await writer.set(key, 'new');
  await until(async () => await reader.get(key) === 'new', 'the new value');
});

register('connections of a pool', {timeout: 20000}, async () => {
  const pool = await createClientPool({socket: {port, host: '127.0.0.1'}}, {minimum: 4, maximum: 16}).connect();
  pool.on('error', (error) => failures.push(error.message));
  const key = unique('pool');
  const values = await Promise.all(Array.from({length: 500}, () => pool.execute((client) => client.incr(key))));
  assert.equal(new Set(values).size, 500);
  assert.equal(Math.max(...values), 500);
  await pool.close();
});
