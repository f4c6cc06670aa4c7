// The TypeScript agent, unmodified and with its defaults, against a whole network: root key, updates by every way
// there is, queries with node signatures, certified state, and what becomes of a message that is sent twice.
// Interface specification, "HTTPS interface" and "Certification"; the agent is the judge of every signature.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CanisterStatus, HttpAgent, RejectError, StatePaths, SubnetStatus, TrustError } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { sha256 } from "@noble/hashes/sha2.js";
import { canister } from "../../execution/test/canisters/build.ts";
import { createCanister, deploy, query, startNetwork, type TestNetwork, update } from "./network.ts";

let network: TestNetwork;
let agent: HttpAgent;
let counter: Principal;
const owner = Ed25519KeyIdentity.generate();
const NO_ARGUMENT = IDL.encode([], []);
const NAT = [IDL.Nat];

before(async () => {
  network = await startNetwork();
  agent = await network.agent(owner);
  counter = await deploy(agent, (await canister("counter")).wasm);
});
after(() => network.stop());

/** Hands on what the agent sends, and notes it. */
function listening(fetch: typeof globalThis.fetch): { fetch: typeof globalThis.fetch; paths: string[] } {
  const paths: string[] = [];
  const noting = ((input: URL, init?: RequestInit) => {
    paths.push(new URL(input).pathname.replace(/\/[a-z0-9-]+-[a-z0-9-]+\//, "/*/"));
    return fetch(input, init);
  }) as typeof globalThis.fetch;
  return { fetch: noting, paths };
}

async function listeningAgent(): Promise<{ agent: HttpAgent; paths: string[] }> {
  const { fetch, paths } = listening(network.fetch);
  return { agent: await HttpAgent.create({ host: HOST, fetch, identity: owner, shouldFetchRootKey: true }), paths };
}

const HOST = "http://localhost:8000";

describe("trust", () => {
  test("the root key comes from the status", async () => {
    const fresh = HttpAgent.createSync({ host: HOST, fetch: network.fetch, shouldFetchRootKey: true });
    assert.deepEqual(new Uint8Array(await fresh.fetchRootKey()), network.rootKey);
    const status = await fresh.status();
    assert.equal(status.replica_health_status, "healthy");
    assert.equal(typeof status.impl_version, "string");
  });

  test("with another network's root key nothing is believed", async () => {
    const mainnet = await HttpAgent.create({ host: HOST, fetch: network.fetch, identity: owner, retryTimes: 0 });
    const calls = { methodName: "get", arg: NO_ARGUMENT };
    await assert.rejects(mainnet.update(counter, { ...calls, methodName: "inc" }), TrustError);
    await assert.rejects(mainnet.query(counter, calls), TrustError);
    await assert.rejects(mainnet.readState({ canisterId: counter }, { paths: [StatePaths.time] }), TrustError);
    await update(agent, counter, "reset");
  });

  test("a changed answer to a query is noticed", async () => {
    const changing = (async (input: URL, init?: RequestInit) => {
      const answer = await network.fetch(input, init);
      if (!new URL(input).pathname.endsWith("/query")) return answer;
      const body = await answer.bytes();
      const at = Buffer.from(body).indexOf("DIDL");
      body[at + 6] = (body[at + 6] as number) + 1;
      return new Response(body, answer);
    }) as typeof globalThis.fetch;
    const deceived = await HttpAgent.create({ host: HOST, fetch: changing, shouldFetchRootKey: true, retryTimes: 0 });
    await assert.rejects(query(deceived, counter, "get", undefined, NAT), TrustError);
    assert.equal(await query(agent, counter, "get", undefined, NAT), 0n);
  });
});

describe("updates", () => {
  test("synchronous: one request, answered with the certificate", async () => {
    const { agent: fresh, paths } = await listeningAgent();
    paths.length = 0;
    const result = await fresh.update(counter, { methodName: "inc", arg: NO_ARGUMENT });
    assert.deepEqual(paths, ["/api/v4/canister/*/call"]);
    assert.equal(result.callResponse.status, 200);
    assert.deepEqual(IDL.decode(NAT, result.reply), [1n]);
  });

  test("asynchronous: version 2 answers 202, read_state tells the rest", async () => {
    const { agent: fresh, paths } = await listeningAgent();
    paths.length = 0;
    const result = await fresh.update(counter, { methodName: "inc", arg: NO_ARGUMENT, callSync: false });
    assert.equal(paths[0], "/api/v2/canister/*/call");
    assert.deepEqual(new Set(paths.slice(1)), new Set(["/api/v3/canister/*/read_state"]));
    assert.equal(result.callResponse.status, 202);
    assert.equal(result.callResponse.body, null);
    assert.deepEqual(IDL.decode(NAT, result.reply), [2n]);
  });

  for (const callSync of [true, false]) {
    test(`a trap is a certified rejection (${callSync ? "synchronous" : "polled"})`, async () => {
      const rejected = agent.update(counter, { methodName: "trapAfterChange", arg: NO_ARGUMENT, callSync });
      await assert.rejects(rejected, (error: RejectError) => {
        assert.ok(error instanceof RejectError);
        assert.equal(error.isCertified, true);
        const { rejectCode, rejectErrorCode, rejectMessage } = error.code as unknown as Record<string, unknown>;
        assert.equal(rejectCode, 5);
        assert.equal(rejectErrorCode, "IC0503");
        assert.match(String(rejectMessage), /trapped after the change/);
        return true;
      });
    });

    test(`a refusal before the block is not certified (${callSync ? "synchronous" : "polled"})`, async () => {
      const empty = await createCanister(agent);
      const refused = agent.update(empty, { methodName: "inc", arg: NO_ARGUMENT, callSync });
      await assert.rejects(refused, (error: RejectError) => {
        assert.ok(error instanceof RejectError);
        assert.equal(error.isCertified, false);
        assert.equal((error.code as unknown as { rejectErrorCode: string }).rejectErrorCode, "IC0537");
        return true;
      });
    });
  }

  test("a method that is not there is found out in the block", async () => {
    await assert.rejects(update(agent, counter, "nothingLikeThis"), (error: RejectError) => {
      assert.equal(error.isCertified, true);
      assert.equal((error.code as unknown as { rejectErrorCode: string }).rejectErrorCode, "IC0536");
      return true;
    });
  });

  test("sixty at once all get their own answer", async () => {
    await update(agent, counter, "reset");
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => update<bigint>(agent, counter, "inc", undefined, NAT)),
    );
    assert.deepEqual(
      answers.sort((a, b) => Number(a - b)),
      Array.from({ length: 60 }, (_, i) => BigInt(i + 1)),
    );
  });

  test("a nonce makes two equal calls two", async () => {
    const call = { methodName: "inc", arg: NO_ARGUMENT };
    const [a, b] = await Promise.all([agent.update(counter, call), agent.update(counter, call)]);
    assert.notDeepEqual(a.reply, b.reply);
  });
});

describe("queries", () => {
  test("are answered with the signature of a node of the subnet", async () => {
    const answer = await agent.query(counter, { methodName: "get", arg: NO_ARGUMENT });
    assert.equal(answer.status, "replied");
    const [signature, ...more] = answer.signatures ?? [];
    assert.equal(more.length, 0);
    const keys = await agent.fetchSubnetKeys({ canisterId: counter });
    assert.ok(keys.has(Principal.fromUint8Array(signature?.identity as Uint8Array).toText()));
  });

  test("change nothing", async () => {
    await update(agent, counter, "reset");
    assert.equal(await query(agent, counter, "incInQuery", undefined, NAT), 1n);
    assert.equal(await query(agent, counter, "get", undefined, NAT), 0n);
  });

  test("rejections are signed too", async () => {
    const missing = await agent.query(counter, { methodName: "nothingLikeThis", arg: NO_ARGUMENT });
    assert.equal(missing.status, "rejected");
    if (missing.status !== "rejected") return;
    assert.equal(missing.reject_code, 5);
    assert.equal(missing.error_code, "IC0536");
    assert.equal(missing.signatures?.length, 1);
  });

  test("see every update that was answered before", async () => {
    await update(agent, counter, "reset");
    for (let i = 1n; i <= 10n; i++) {
      await update(agent, counter, "inc");
      assert.equal(await query(agent, counter, "get", undefined, NAT), i);
    }
  });
});

describe("certified state", () => {
  test("the status of a canister", async () => {
    const { wasm, candid } = await canister("counter");
    const status = await CanisterStatus.request({
      canisterId: counter,
      agent,
      paths: ["time", "controllers", "subnet", "module_hash", "candid"],
    });
    const time = status.get("time") as Date;
    assert.ok(Math.abs(time.getTime() - Date.now()) < 10_000);
    assert.deepEqual(
      (status.get("controllers") as Principal[]).map((id) => id.toText()),
      [owner.getPrincipal().toText()],
    );
    assert.equal(status.get("module_hash"), Buffer.from(sha256(wasm)).toString("hex"));
    assert.equal(status.get("candid"), candid);
    const { subnetId, nodeKeys } = status.get("subnet") as { subnetId: string; nodeKeys: Map<string, Uint8Array> };
    assert.equal(subnetId, Principal.selfAuthenticating(network.rootKey).toText());
    assert.equal(nodeKeys.size, 1);
  });

  test("an empty canister has controllers and provably nothing else", async () => {
    const empty = await createCanister(agent);
    const paths = [
      StatePaths.canisterControllers(empty),
      StatePaths.canisterModuleHash(empty),
      StatePaths.canisterCandid(empty),
    ] as const;
    const { values, verifiedCertificate } = await agent.readState({ canisterId: empty }, { paths: [...paths] });
    assert.deepEqual(values.get(paths[0])?.map(String), [owner.getPrincipal().toText()]);
    for (const { path } of paths.slice(1)) assert.equal(verifiedCertificate.lookup_path(path).status, "Absent");
  });

  test("the status of the subnet, at its own address", async () => {
    const subnetId = Principal.selfAuthenticating(network.rootKey);
    assert.equal((await agent.getSubnetIdFromCanister(counter)).toText(), subnetId.toText());
    const status = await SubnetStatus.request({
      subnetId,
      agent,
      paths: ["time", "canisterRanges", "publicKey", "nodeKeys"],
    });
    assert.deepEqual(new Uint8Array(status.get("publicKey") as Uint8Array), network.rootKey);
    const ranges = status.get("canisterRanges") as [Principal, Principal][];
    const inRange = ranges.some(
      ([first, last]) => first.compareTo(counter) !== "gt" && last.compareTo(counter) !== "lt",
    );
    assert.ok(inRange);
    assert.equal((status.get("nodeKeys") as Map<string, Uint8Array>).size, 1);
  });

  test("time goes on while nobody calls", async () => {
    const time = async () =>
      (await agent.readState({ canisterId: counter }, { paths: [StatePaths.time] })).values.get(StatePaths.time);
    const first = (await time()) as Date;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.ok(((await time()) as Date).getTime() > first.getTime());
  });
});

describe("a message that is sent again", () => {
  const asSent = async (): Promise<{ url: URL; init: RequestInit }> => {
    let sent: { url: URL; init: RequestInit } | undefined;
    const keeping = (async (url: URL, init: RequestInit = {}) => {
      if (url.pathname.endsWith("/call")) sent = { url, init };
      return network.fetch(url, init);
    }) as typeof globalThis.fetch;
    const caller = await HttpAgent.create({ host: HOST, fetch: keeping, identity: owner, shouldFetchRootKey: true });
    await caller.update(counter, { methodName: "inc", arg: NO_ARGUMENT });
    assert.ok(sent);
    return sent;
  };

  test("is answered again and executed once", async () => {
    await update(agent, counter, "reset");
    const { url, init } = await asSent();
    const again = await Promise.all(Array.from({ length: 5 }, () => network.fetch(url, init)));
    for (const answer of again) {
      assert.equal(answer.status, 200);
      const body = Buffer.from(await answer.bytes());
      assert.ok(body.includes("DIDL\0\x01}\x01", 0, "latin1"), "the same reply");
    }
    const asynchronous = await network.fetch(new URL(url.href.replace("/v4/", "/v2/")), init);
    assert.equal(asynchronous.status, 202);
    assert.equal(await query(agent, counter, "get", undefined, NAT), 1n);
    await update(agent, counter, "inc");
    assert.equal(await query(agent, counter, "get", undefined, NAT), 2n);
  });

  test("while the first is under way is not executed twice either", async () => {
    await update(agent, counter, "reset");
    let answers: Response[] = [];
    const tripling = (async (url: URL, init: RequestInit = {}) => {
      if (!url.pathname.endsWith("/call")) return network.fetch(url, init);
      answers = await Promise.all([1, 2, 3].map(() => network.fetch(url, init)));
      return answers[0];
    }) as typeof globalThis.fetch;
    const caller = await HttpAgent.create({ host: HOST, fetch: tripling, identity: owner, shouldFetchRootKey: true });
    assert.equal(await update(caller, counter, "inc", undefined, NAT), 1n);
    for (const { status } of answers) assert.ok(status === 200 || status === 202);
    assert.equal(await query(agent, counter, "get", undefined, NAT), 1n);
  });

  test("with another nonce but the old signature is refused", async () => {
    const { url, init } = await asSent();
    const body = Buffer.from(init.body as Uint8Array);
    const at = body.indexOf("nonce") + 6;
    body[at] = (body[at] as number) ^ 1;
    const answer = await network.fetch(url, { ...init, body });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /^Invalid signature: /);
  });
});
