// Calls that come in one turn of the event loop, as over the front's one connection: verified together, answered each as if
// it had come alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex } from "@atoll/types";
import { Cbor } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { createHttpHandler } from "../../src/http/index.ts";
import { CANISTER, createCertifiedBackend } from "./certified-backend.ts";
import { CANISTER_TEXT, nowNs, post, testTimer, textOf } from "./requests.ts";

const identity = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(4));
let nonce = 0;

async function signedCall(): Promise<Uint8Array> {
  const content = {
    ...{ request_type: "call", canister_id: fromHex(CANISTER), method_name: "greet", arg: new Uint8Array(6) },
    ...{ sender: identity.getPrincipal(), ingress_expiry: nowNs() + 60_000_000_000n, nonce: Uint8Array.of(nonce++) },
  };
  const { body } = (await identity.transformRequest({ request: {}, endpoint: "call", body: content } as never)) as {
    body: unknown;
  };
  return Cbor.encode(body);
}

test("calls of one turn are verified together, a wrong one among them is refused with its text", async () => {
  const backend = await createCertifiedBackend();
  const counts = { alone: 0, together: [] as number[] };
  const { crypto } = backend;
  const handle = createHttpHandler(
    {
      ...backend,
      crypto: {
        ...crypto,
        verify: (...args) => {
          counts.alone++;
          return crypto.verify(...args);
        },
        verifyAllEd25519: (signed) => {
          counts.together.push(signed.length);
          return crypto.verifyAllEd25519(signed);
        },
      },
    },
    { timer: testTimer, syncCallTimeoutMs: 100 },
  );
  const send = (body: Uint8Array) => post(handle, `/api/v2/canister/${CANISTER_TEXT}/call`, body);
  const good = await Promise.all(Array.from({ length: 12 }, signedCall));
  for (const { status } of await Promise.all(good.slice(0, 8).map(send))) assert.equal(status, 202);
  assert.deepEqual(counts, { alone: 0, together: [8] });
  assert.equal((await send(await signedCall())).status, 202);
  assert.deepEqual(counts, { alone: 1, together: [8] }, "one alone");
  const wrong = (good[9] as Uint8Array).slice();
  wrong.set([1, 2, 3], wrong.length - 10);
  const answers = await Promise.all([good[8], wrong, good[10], good[11]].map((body) => send(body as Uint8Array)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [202, 400, 202, 202],
  );
  assert.match(textOf(answers[1] as never), /^Invalid signature: Invalid basic signature: Ed25519 signature could not/);
});
