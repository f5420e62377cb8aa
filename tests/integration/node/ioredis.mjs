// ioredis as applications use it: its ready check, commands, transactions, scripts, streams, subscriptions.
import assert from 'node:assert/strict';
import {after, afterEach, test as register} from 'node:test';
import Redis from 'ioredis';
import {port, unique, until, within} from './checks.mjs';

const test = (name, run) => register(name, {timeout: 20000}, run);
const opened = [];
let closes = 0;
const connect = (options = {}) => {
  const client = new Redis({port, host: '127.0.0.1', retryStrategy: () => null, ...options});
  client.on('close', () => closes++);
  opened.push(client);
  return client;
};
afterEach(() => assert.equal(closes, 0, 'a connection was closed that nobody asked to close'));
const main = connect({connectionName: 'ioredis-main'});
after(() => opened.forEach((client) => client.disconnect()));

test('is ready after INFO, with a name and a database', async () => {
  const client = connect({db: 3, connectionName: 'ready', lazyConnect: true});
  await within(client.connect(), 'ready event');
  assert.equal(client.status, 'ready');
  assert.match(await client.info('server'), /^redis_version:\d+\.\d+/m);
  assert.equal(await client.client('GETNAME'), 'ready');
  const key = unique('db');
  await client.set(key, '1');
  assert.equal(await main.get(key), null);
  await main.select(3);
  assert.equal(await main.get(key), '1');
  await main.select(0);
  assert.equal(await main.get(key), null);
});

test('pipelines and automatic pipelines keep their order', async () => {
  const key = unique('n');
  const pipeline = main.pipeline();
  for (let i = 0; i < 10000; i++) pipeline.incr(key);
  const replies = await pipeline.exec();
  assert.deepEqual(replies.map(([error, value]) => [error, value]), replies.map((_, i) => [null, i + 1]));
  const auto = connect({enableAutoPipelining: true});
  const values = await Promise.all(Array.from({length: 1000}, (_, i) => auto.echo(`${i}`)));
  assert.deepEqual(values, values.map((_, i) => `${i}`));
});

test('MULTI, inline and as a pipeline, with an error inside', async () => {
  const key = unique('t');
  const replies = await main.multi().set(key, 'x').incr(key).get(key).exec();
  assert.deepEqual(replies.map(([error, value]) => error?.message ?? value),
    ['OK', 'ERR value is not an integer or out of range', 'x']);
  await main.multi({pipeline: false});
  assert.equal(await main.set(key, 'y'), 'QUEUED');
  assert.deepEqual(await main.exec(), [[null, 'OK']]);
  await main.multi({pipeline: false});
  await assert.rejects(main.call('NOSUCHCOMMAND'), /ERR unknown command/);
  await assert.rejects(main.exec(), /EXECABORT/);
});

test('WATCH sees the write of another client', async () => {
  const key = unique('w');
  const watcher = connect();
  await watcher.watch(key);
  await main.set(key, 'rival');
  assert.equal(await watcher.multi().set(key, 'mine').exec(), null);
  assert.equal(await watcher.get(key), 'rival');
  await watcher.watch(key);
  assert.deepEqual(await watcher.multi().set(key, 'mine').exec(), [[null, 'OK']]);
});

test('scripts go by EVALSHA and fall back when the server does not know them', async () => {
  const salt = unique('script');
  main.defineCommand('addTwice', {
    numberOfKeys: 1,
    lua: `-- ${salt}\nredis.call('incrby', KEYS[1], ARGV[1]) return redis.call('incrby', KEYS[1], ARGV[1])`,
  });
  const key = unique('s');
  assert.equal(await main.addTwice(key, 2), 4);
  assert.equal(await main.addTwice(key, 2), 8);
  await main.script('FLUSH');
  assert.equal(await main.addTwice(key, 1), 10);
  await assert.rejects(main.evalsha('f'.repeat(40), 0), /NOSCRIPT/);
  const sha = await main.script('LOAD', `return {ARGV[1], '${salt}'}`);
  assert.deepEqual(await main.evalsha(sha, 0, 'a'), ['a', salt]);
  assert.deepEqual(await main.script('EXISTS', sha, 'f'.repeat(40)), [1, 0]);
});

test('streams: XREAD BLOCK wakes, XREADGROUP delivers once', async () => {
  const key = unique('stream');
  const reader = connect();
  const waiting = reader.xread('BLOCK', 10000, 'STREAMS', key, '$');
  await until(async () => /blocked_clients:[1-9]/.test(await main.info('clients')), 'the blocked reader');
  const id = await main.xadd(key, '*', 'field', 'value');
  assert.deepEqual(await within(waiting, 'stream entry'), [[key, [[id, ['field', 'value']]]]]);
  assert.equal(await reader.xread('BLOCK', 50, 'STREAMS', key, id), null);

  await main.xgroup('CREATE', key, 'group', '0');
  const workers = [connect(), connect(), connect()];
  for (let i = 0; i < 99; i++) await main.xadd(key, '*', 'i', i);
  const got = (await Promise.all(workers.map(async (worker, number) => {
    const ids = [];
    for (;;) {
      const reply = await worker.xreadgroup('GROUP', 'group', `c${number}`, 'COUNT', 7, 'BLOCK', 100,
        'STREAMS', key, '>');
      if (!reply) return ids;
      for (const [entry] of reply[0][1]) ids.push(entry);
      await worker.xack(key, 'group', ...reply[0][1].map(([entry]) => entry));
    }
  }))).flat();
  assert.equal(got.length, 100);
  assert.equal(new Set(got).size, 100);
  assert.equal((await main.xpending(key, 'group'))[0], 0);
});

test('BLPOP, BZPOPMIN and BLMOVE wait for others, and time out', async () => {
  const [list, zset, target] = [unique('l'), unique('z'), unique('t')];
  const blocked = [connect(), connect(), connect()];
  const waiting = [blocked[0].blpop(list, 10), blocked[1].bzpopmin(zset, 10),
    blocked[2].blmove(target, target, 'LEFT', 'RIGHT', 10)];
  await until(async () => /blocked_clients:3/.test(await main.info('clients')), 'three blocked clients');
  await main.rpush(list, 'a');
  await main.zadd(zset, 5, 'b');
  await main.rpush(target, 'c');
  assert.deepEqual(await within(Promise.all(waiting), 'pops'), [[list, 'a'], [zset, 'b', '5'], 'c']);
  assert.equal(await blocked[0].blpop(unique('nothing'), 0.1), null);
  assert.equal(await blocked[0].llen(target), 1);
});

test('subscriptions: channels, patterns and shard channels', async () => {
  // ioredis counts shard channels and the others together, and Redis does not: each has a connection of its own.
  const [subscriber, sharded] = [connect(), connect()];
  const messages = [];
  subscriber.on('message', (...args) => messages.push(['message', ...args]));
  subscriber.on('pmessage', (...args) => messages.push(['pmessage', ...args]));
  sharded.on('smessage', (...args) => messages.push(['smessage', ...args]));
  const [channel, shard] = [unique('news'), unique('shard')];
  const pattern = channel.slice(0, -1) + '?';
  assert.equal(await subscriber.subscribe(channel, channel + '2'), 2);
  assert.equal(await subscriber.psubscribe(pattern), 3);
  assert.equal(await sharded.ssubscribe(shard), 1);
  assert.equal(await main.publish(channel, 'hello'), 2);
  assert.equal(await main.spublish(shard, 'there'), 1);
  await until(() => messages.length === 3, 'three messages');
  assert.deepEqual(messages.sort(),
    [['message', channel, 'hello'], ['pmessage', pattern, channel, 'hello'], ['smessage', shard, 'there']]);
  assert.deepEqual(await subscriber.ping(), ['pong', '']);
  await assert.rejects(subscriber.get(channel), /subscriber mode/);
  // With names: without, ioredis waits until no subscription of any kind is left.
  await subscriber.unsubscribe(channel, channel + '2');
  await subscriber.punsubscribe(pattern);
  await sharded.sunsubscribe(shard);
  assert.equal(await main.publish(channel, 'nobody'), 0);
  assert.equal(await main.spublish(shard, 'nobody'), 0);
  assert.equal(await subscriber.echo('an ordinary client again'), 'an ordinary client again');
  assert.equal(await sharded.echo('an ordinary client again'), 'an ordinary client again');
});

test('keyspace notifications, switched on through the proxy', async () => {
  const before = (await main.config('GET', 'notify-keyspace-events'))[1];
  assert.equal(await main.config('SET', 'notify-keyspace-events', 'KEA'), 'OK');
  const subscriber = connect();
  const events = [];
  subscriber.on('pmessage', (pattern, channel, message) => events.push(`${channel} ${message}`));
  const key = unique('watched');
  await subscriber.psubscribe(`__keyspace@0__:${key}`);
  await main.set(key, '1', 'PX', 30);
  await until(() => events.length === 3 && events, 'set, expire and expired');
  assert.deepEqual(events, ['set', 'expire', 'expired'].map((event) => `__keyspace@0__:${key} ${event}`));
  await main.config('SET', 'notify-keyspace-events', before);
});

test('big values, as strings and as bytes', async () => {
  const value = Buffer.alloc(8 << 20, Buffer.from(Array.from({length: 256}, (_, i) => i)));
  const keys = [unique('big'), unique('big')];
  await Promise.all(keys.map((key) => main.set(key, value)));
  const got = await main.mgetBuffer(...keys);
  assert.ok(got.every((one) => one.equals(value)));
  await main.del(...keys);
});

test('SCAN and MONITOR', async () => {
  const prefix = unique('scan');
  await main.mset(Object.fromEntries(Array.from({length: 500}, (_, i) => [`${prefix}:${i}`, i])));
  const keys = new Set();
  for await (const batch of main.scanStream({match: `${prefix}:*`, count: 100})) batch.forEach((key) => keys.add(key));
  assert.equal(keys.size, 500);
  const monitor = await main.monitor();
  const seen = [];
  monitor.on('monitor', (time, args) => seen.push(args.join(' ')));
  // The monitor's own connection is up when it is given; what is said after that must be seen.
  await main.set(prefix, 'monitored');
  await until(() => seen.includes(`set ${prefix} monitored`), 'the command in MONITOR');
  monitor.disconnect();
});

test('QUIT is answered and then closes', async () => {
  const client = new Redis({port, host: '127.0.0.1', retryStrategy: () => null});
  const ended = new Promise((resolve) => client.on('end', resolve));
  assert.equal(await client.quit(), 'OK');
  await within(ended, 'end of the connection');
});
