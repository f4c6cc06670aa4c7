// What Vitest and Jest have as globals, from node:test.
import { after, before, test } from "node:test";

Object.assign(globalThis, { test, afterAll: after, beforeAll: (work) => before(work) });
