// BullMQ, whose workers live on scripts, BZPOPMIN and streams: what its users rely on, each on a queue of its own.
import assert from 'node:assert/strict';
import {after, test as register} from 'node:test';
import {FlowProducer, Queue, QueueEvents, Worker} from 'bullmq';
import {port, unique, until, within} from './checks.mjs';

const connection = {port, host: '127.0.0.1', maxRetriesPerRequest: null};
const errors = [];
const opened = [];
const test = (name, run) => register(name, {timeout: 40000}, run);

function open(Kind, ...args) {
  const options = {connection, drainDelay: 1};
  const one = Kind === Worker ? new Worker(args[0], args[1], {...options, ...args[2]}) : new Kind(...args, options);
  one.setMaxListeners(0);
  one.on('error', (error) => errors.push(error.message));
  opened.push(one);
  return one;
}
after(async () => {
  await Promise.all(opened.map((one) => one.close()));
  assert.deepEqual(errors, []);
});

const queueName = (name) => unique(name).replaceAll(':', '-');

test('jobs are worked off by several workers, each once, with their results', async () => {
  const name = queueName('plain');
  const queue = open(Queue, name);
  const events = open(QueueEvents, name);
  await events.waitUntilReady();
  const ran = [];
  const workers = [1, 2, 3].map(() => open(Worker, name, async (job) => {
    ran.push(job.id);
    await job.updateProgress(50);
    return job.data.n * 2;
  }, {concurrency: 5}));
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  const jobs = await queue.addBulk(Array.from({length: 200}, (_, n) => ({name: 'double', data: {n}})));
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 30000)));
  assert.deepEqual(results, results.map((_, n) => n * 2));
  assert.equal(ran.length, 200);
  assert.equal(new Set(ran).size, 200);
  assert.deepEqual(await queue.getJobCounts('completed', 'failed', 'active', 'wait'),
    {completed: 200, failed: 0, active: 0, wait: 0});
});

test('delayed jobs come when they are due, in the order of their delay', async () => {
  const name = queueName('delayed');
  const queue = open(Queue, name);
  const came = [];
  const worker = open(Worker, name, async (job) => { came.push([job.name, Date.now() - job.timestamp]); });
  await worker.waitUntilReady();
  await queue.addBulk([600, 200, 400].map((delay) => ({name: `${delay}`, data: {}, opts: {delay}})));
  assert.equal(await queue.getDelayedCount(), 3);
  await until(() => came.length === 3, 'three delayed jobs', 15000);
  assert.deepEqual(came.map(([job]) => job), ['200', '400', '600']);
  for (const [job, waited] of came) assert.ok(waited >= Number(job) - 5, `${job} came after ${waited} ms`);
});

test('repeated jobs come again until their scheduler is removed', async () => {
  const name = queueName('repeated');
  const queue = open(Queue, name);
  let ticks = 0;
  const worker = open(Worker, name, async () => { ticks++; });
  await worker.waitUntilReady();
  await queue.upsertJobScheduler('ticker', {every: 200}, {name: 'tick'});
  await until(() => ticks >= 4, 'four repetitions', 20000);
  assert.equal((await queue.getJobSchedulers()).length, 1);
  assert.ok(await queue.removeJobScheduler('ticker'));
  assert.equal((await queue.getJobSchedulers()).length, 0);
});

test('failed jobs are tried again with a growing delay, and then stay failed', async () => {
  const name = queueName('failing');
  const queue = open(Queue, name);
  const events = open(QueueEvents, name);
  await events.waitUntilReady();
  const attempts = [];
  open(Worker, name, async (job) => {
    attempts.push(job.attemptsMade);
    if (job.data.cured !== job.attemptsMade) throw new Error(`attempt ${job.attemptsMade}`);
    return 'cured';
  });
  const opts = {attempts: 3, backoff: {type: 'exponential', delay: 50}};
  const cured = await queue.add('ill', {cured: 2}, opts);
  assert.equal(await cured.waitUntilFinished(events, 20000), 'cured');
  assert.deepEqual(attempts, [0, 1, 2]);
  const hopeless = await queue.add('ill', {}, opts);
  await assert.rejects(hopeless.waitUntilFinished(events, 20000), /attempt 2/);
  assert.equal(await queue.getFailedCount(), 1);
});

test('priorities, pause and resume', async () => {
  const name = queueName('priority');
  const queue = open(Queue, name);
  const came = [];
  const worker = open(Worker, name, async (job) => { came.push(job.data.priority); });
  await worker.waitUntilReady();
  await queue.pause();
  await queue.addBulk([3, 1, 2].map((priority) => ({name: 'p', data: {priority}, opts: {priority}})));
  assert.equal(await queue.isPaused(), true);
  assert.deepEqual(came, []);
  await queue.resume();
  await until(() => came.length === 3, 'three jobs');
  assert.deepEqual(came, [1, 2, 3]);
});

test('a parent waits for its children', async () => {
  const name = queueName('flow');
  const queue = open(Queue, name);
  const events = open(QueueEvents, name);
  await events.waitUntilReady();
  open(Worker, name, async (job) => {
    if (job.name !== 'sum') return job.data.n;
    return Object.values(await job.getChildrenValues()).reduce((sum, n) => sum + n, 0);
  }, {concurrency: 4});
  const children = Array.from({length: 10}, (_, n) => ({name: 'part', queueName: name, data: {n}}));
  const tree = await open(FlowProducer).add({name: 'sum', queueName: name, children});
  assert.equal(await tree.job.waitUntilFinished(events, 20000), 45);
  assert.equal(await queue.getCompletedCount(), 11);
});

test('a worker that waits at an empty queue wakes for a new job at once', async () => {
  const name = queueName('idle');
  const queue = open(Queue, name);
  const worker = open(Worker, name, async () => 'done', {drainDelay: 10});
  await worker.waitUntilReady();
  const client = await queue.client;
  await until(async () => /blocked_clients:[1-9]/.test(await client.info('clients')), 'the waiting worker');
  const completed = new Promise((resolve) => worker.once('completed', resolve));
  const added = Date.now();
  await queue.add('wake', {});
  await within(completed, 'completed job', 5000);
  assert.ok(Date.now() - added < 2500, 'the worker slept on');
});
