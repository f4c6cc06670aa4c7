// A load of updates by several users that knows what it was told: of each call whether it was answered as executed.
// After a restart the canisters' own counts must agree: answered calls once, all others once or not at all.
import assert from "node:assert/strict";
import { Cbor, Certificate, type HttpAgent, requestIdOf } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import type { Network } from "./process.ts";
import { agentOf, type BlsVerify, identity, recorderActor } from "./recorder.ts";

interface SentRequest {
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** A user with a sequence of numbered calls. Even users call one canister, odd ones through it another one too. */
interface User {
  readonly number: number;
  readonly answered: boolean[];
  /** Requests that were sent and not answered, as they went over the wire. */
  readonly unanswered: (SentRequest & { readonly call: number })[];
}

export interface Load {
  readonly answeredCount: number;
  readonly sentCount: number;
  readonly resentCount: number;
  /** Sends calls until `stop`, or until the network no longer answers. Throws for an answer that is an error. */
  run(network: Network): { stop(): Promise<void> };
  /** Sends requests again, byte by byte, that an earlier network did not answer; they may not run a second time. */
  resend(network: Network): Promise<void>;
  /** Checks every count of both canisters. */
  check(network: Network): Promise<void>;
  /** Waits until no call is under way any more, and checks that relayed calls left their two traces. */
  checkAtRest(network: Network): Promise<void>;
}

export interface LoadOptions {
  readonly users: number;
  readonly near: Principal;
  readonly far: Principal;
  readonly blsVerify: BlsVerify;
}

export function createLoad({ users: userCount, near, far, blsVerify }: LoadOptions): Load {
  const users = Array.from({ length: userCount }, (_, number): User => ({ number, answered: [], unanswered: [] }));
  let resentCount = 0;

  const runUser = async (user: User, network: Network, isStopping: () => boolean): Promise<void> => {
    let last: SentRequest | undefined;
    const recordingFetch: typeof fetch = (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      if (url.pathname.endsWith("/call")) last = { path: url.pathname, body: new Uint8Array(init?.body as Uint8Array) };
      return fetch(input, init);
    };
    const agent = agentOf(network, { identity: identity(user.number), fetch: recordingFetch });
    const actor = recorderActor(agent, near, blsVerify);
    while (!isStopping()) {
      const call = user.answered.push(false) - 1;
      last = undefined;
      try {
        const [client, number] = [BigInt(user.number), BigInt(call)];
        await (user.number % 2 === 0 ? actor.record(client, number) : actor.relay(far, client, number));
        user.answered[call] = true;
      } catch (error) {
        if (last !== undefined) user.unanswered.push({ ...(last as SentRequest), call });
        if (!isConnectionLoss(error)) throw error;
        return;
      }
    }
  };

  const checkUser = async ({ number, answered }: User, agent: HttpAgent): Promise<void> => {
    const countsAt = (id: Principal) => recorderActor(agent, id).countsOf(BigInt(number));
    const here = await countsAt(near);
    const there = number % 2 === 0 ? here : await countsAt(far);
    assert.ok(here.length <= answered.length, `user ${number} never sent call ${here.length - 1}`);
    for (const [call, isAnswered] of answered.entries()) {
      const [count = 0, farCount = 0] = [here[call], there[call]];
      const what = `call ${call} of user ${number}, ${isAnswered ? "answered" : "not answered"}`;
      assert.ok(count <= 1 && farCount <= 1, `${what}, ran ${count} and ${farCount} times`);
      assert.ok(count <= farCount, `${what}, ran here and not there`);
      if (isAnswered) assert.equal(count, 1, `${what}, is lost`);
    }
  };

  return {
    get answeredCount() {
      return users.reduce((sum, user) => sum + user.answered.filter(Boolean).length, 0);
    },
    get sentCount() {
      return users.reduce((sum, user) => sum + user.answered.length, 0);
    },
    get resentCount() {
      return resentCount;
    },
    run(network) {
      let isStopping = false;
      const ends = Promise.all(users.map((user) => runUser(user, network, () => isStopping)));
      ends.catch(() => undefined);
      return {
        async stop() {
          isStopping = true;
          await ends;
        },
      };
    },
    async resend(network) {
      const sendAgain = async (user: User): Promise<void> => {
        for (const { path, body, call } of user.unanswered.splice(0)) {
          const headers = { "content-type": "application/cbor" };
          const answer = await fetch(network.gatewayUrl + path, { method: "POST", headers, body });
          const bytes = new Uint8Array(await answer.arrayBuffer());
          assert.ok(
            answer.status === 200 || answer.status === 202,
            `sent again: ${answer.status} ${decoder.decode(bytes)}`,
          );
          if (answer.status === 200) await assertReplied(network, body, bytes, blsVerify);
          if (answer.status === 200) user.answered[call] = true;
          resentCount++;
        }
      };
      await Promise.all(users.map(sendAgain));
    },
    async check(network) {
      const agent = agentOf(network);
      await Promise.all(users.map((user) => checkUser(user, agent)));
    },
    async checkAtRest(network) {
      await this.check(network);
      const agent = agentOf(network);
      for (const user of users) {
        const countsOf = (id: Principal) => recorderActor(agent, id).countsOf(BigInt(user.number));
        if (user.number % 2 === 0) continue;
        for (let tries = 0; ; tries++) {
          const [here, there] = [await countsOf(near), await countsOf(far)];
          if (Buffer.from(here).equals(there)) break;
          assert.ok(tries < 50, `relayed calls of user ${user.number} never came back`);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    },
  };
}

/** Checks the certificate of a synchronous answer: the request of this body was replied to. */
async function assertReplied(
  { rootKey }: Network,
  body: Uint8Array,
  answer: Uint8Array,
  blsVerify: BlsVerify,
): Promise<void> {
  const { certificate } = Cbor.decode<{ certificate: Uint8Array }>(answer);
  const { content } = Cbor.decode<{ content: { canister_id: Uint8Array } & Record<string, unknown> }>(body);
  const principal = Principal.fromUint8Array(content.canister_id);
  const verified = await Certificate.create({ certificate, rootKey, principal: { canisterId: principal }, blsVerify });
  const requestId = requestIdOf(content);
  const path = [encoder.encode("request_status"), requestId, encoder.encode("status")];
  const found = verified.lookup_path(path) as { value?: Uint8Array };
  assert.equal(found.value && decoder.decode(found.value), "replied", "a request that was sent again");
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a client sees of a network that was killed: a connection that is refused, reset or closed. */
function isConnectionLoss(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (
      /ECONNREFUSED|ECONNRESET|EPIPE|UND_ERR|fetch failed|terminated|other side closed/.test(
        `${cause.message} ${(cause as { code?: string }).code}`,
      )
    ) {
      return true;
    }
  }
  return false;
}
