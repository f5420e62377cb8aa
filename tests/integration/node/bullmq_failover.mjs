// A producer and a pool of BullMQ workers that the driving test runs through a failover. It says {"jobs": n} as jobs
// are completed; a line on its input ends the producer; then it waits for all jobs and says what became of them.
import {Queue, Worker} from 'bullmq';
import {orders, port, tell, until} from './checks.mjs';

const NAME = 'work';
// BullMQ closes its own connection when a BZPOPMIN takes a second longer than it asked for. While a delayed job is
// next, it asks for less time than a failover takes: with delayed jobs, connections do not stay, whatever is in between.
const delayMs = process.argv.includes('--delayed') ? 200 : 0;
const WORKERS = 4;
const connection = {port, host: '127.0.0.1', maxRetriesPerRequest: null};
const errors = [];
const note = (error) => errors.push(error.message);

// All events are kept: they are counted at the end.
const queue = new Queue(NAME, {connection, streams: {events: {maxLen: 1000000}}});
queue.on('error', note);
const executions = new Map();
let completed = 0;
// A lock must outlive the pause of a failover, or BullMQ gives a job to a second worker while its first one is only
// waiting for the new master.
const workers = Array.from({length: WORKERS}, () => {
  const worker = new Worker(NAME, async (job) => {
    executions.set(job.id, (executions.get(job.id) ?? 0) + 1);
    // Progress is only told: whether it arrived does not decide what becomes of the job.
    await job.updateProgress(10).catch((error) => { if (!/^UNCERTAIN /.test(error.message)) throw error; });
    return job.id;
  }, {connection, concurrency: 5, lockDuration: 8000, stalledInterval: 1000, maxStalledCount: 100});
  worker.on('error', note);
  worker.on('completed', () => completed++);
  return worker;
});
let producing = true;
const added = [];

// An add that may or may not have been executed is said again: the same job id makes it one job.
async function produce() {
  while (producing) {
    const jobId = `job-${added.length}`;
    added.push(jobId);
    for (let done = false; !done;) {
      try {
        // When the answer to a completion is UNCERTAIN, BullMQ counts the attempt as failed: one attempt would not do.
        await queue.add('work', {}, {jobId, attempts: 5, delay: added.length % 10 === 0 ? delayMs : 0});
        done = true;
      } catch (error) {
        if (!/^(UNCERTAIN|MASTERDOWN) /.test(error.message)) throw error;
        note(error);
      }
    }
  }
}

async function completionEvents() {
  const client = await queue.client;
  const counts = new Map();
  for (const [, fields] of await client.xrange(`bull:${NAME}:events`, '-', '+')) {
    const event = Object.fromEntries(fields.flatMap((name, i) => (i % 2 ? [] : [[name, fields[i + 1]]])));
    if (event.event === 'completed') counts.set(event.jobId, (counts.get(event.jobId) ?? 0) + 1);
  }
  return counts;
}

async function main() {
  const lines = orders();
  await Promise.all([queue.waitUntilReady(), ...workers.map((worker) => worker.waitUntilReady())]);
  // The blocking connections of the workers are up once each of them has waited for a job.
  const client = await queue.client;
  const allWait = new RegExp(`blocked_clients:${WORKERS}\\b`);
  await until(async () => allWait.test(await client.info('clients')), 'waiting workers');
  tell({ready: true});
  const progress = setInterval(() => tell({jobs: completed}), 50);
  const producers = [produce(), produce()];
  await lines.next();
  producing = false;
  await Promise.all(producers);
  await until(async () => await queue.getCompletedCount() >= added.length, 'all jobs to be completed', 45000)
    .catch((error) => errors.push(error.message));
  clearInterval(progress);
  const events = await completionEvents();
  tell({
    added: added.length,
    counts: await queue.getJobCounts('completed', 'failed', 'active', 'wait', 'delayed'),
    never_completed: added.filter((id) => !events.has(id)),
    completed_twice: added.filter((id) => events.get(id) > 1),
    executed_twice: added.filter((id) => executions.get(id) > 1),
    errors,
  });
  await lines.next();
  await Promise.all([queue, ...workers].map((one) => one.close()));
  process.stdin.destroy();
}

await main();
