// Fails, and must be seen to fail by the test that drives these scripts.
import assert from 'node:assert/strict';
import {test} from 'node:test';

test('one is two', () => assert.equal(1, 2));
