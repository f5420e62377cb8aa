// What the scripts of this directory share. Each of them connects only to the proxy, whose port is in the environment.
import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {createInterface} from 'node:readline';

export const port = Number(process.env.FAIRLEAD_PORT);
assert.ok(port > 0, 'FAIRLEAD_PORT is not set');

// A key of its own for each test, so that tests need no empty database.
export const unique = (name) => `${name}:${randomUUID()}`;

// Waits until `condition()` is true and returns its value; never sleeps longer than it must.
export async function until(condition, what, timeoutMs = 10000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// The promise, or an error when it takes longer than `timeoutMs`.
export function within(promise, what, timeoutMs = 10000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// One line for the test that drives this script.
export const tell = (message) => process.stdout.write(JSON.stringify(message) + '\n');

// The lines that the test that drives this script writes to its input.
export const orders = () => createInterface({input: process.stdin})[Symbol.asyncIterator]();
