// Everybody who can sign a request: each kind of key, delegations and their limits, identities whose signatures a
// canister makes, web authentication. The client library signs, the network judges.
// Interface specification, "Authentication" and "Signatures".
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { HttpAgent, type Identity, type SignIdentity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import {
  AttributesIdentity,
  DelegationChain,
  DelegationIdentity,
  ECDSAKeyIdentity,
  Ed25519KeyIdentity,
} from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import {
  callerInfoData,
  callerInfoSigner,
  concat,
  reply,
  universalModule,
} from "../../execution/test/canisters/universal.ts";
import { CanisterIdentity } from "./canister-signature.ts";
import { createCanister, deploy, managementActor, query, startNetwork, type TestNetwork, update } from "./network.ts";
import { type CoseAlgorithm, webAuthnIdentity } from "./software-authenticator.ts";

let network: TestNetwork;
let counter: Principal;
let other: Principal;
let provider: Principal;
const MANAGEMENT = Principal.managementCanister();
const PRINCIPAL = [IDL.Principal];

before(async () => {
  network = await startNetwork();
  const agent = await network.agent();
  counter = await deploy(agent, (await canister("counter")).wasm);
  other = await deploy(agent, (await canister("counter")).wasm);
  provider = await deploy(agent, (await canister("certified")).wasm);
});
after(() => network.stop());

function agentOf(identity: Identity): Promise<HttpAgent> {
  return HttpAgent.create({
    host: "http://localhost:8000",
    fetch: network.fetch,
    identity,
    shouldFetchRootKey: true,
    retryTimes: 0,
  });
}

/** Whom the canister sees as its caller: by an update (which is polled for, too) and by a query that is signed. */
async function seenBy(identity: Identity, id = counter): Promise<string> {
  const agent = await agentOf(identity);
  await query(agent, id, "get", undefined, [IDL.Nat]);
  const call = { methodName: "whoami", arg: IDL.encode([], []) };
  const polled = IDL.decode(PRINCIPAL, (await agent.update(id, { ...call, callSync: false })).reply)[0];
  const direct = await update<Principal>(agent, id, "whoami", undefined, PRINCIPAL);
  assert.equal(direct.toText(), (polled as unknown as Principal).toText());
  return direct.toText();
}

async function refused(identity: Identity, words: RegExp, id = counter): Promise<void> {
  const agent = await agentOf(identity);
  await assert.rejects(update(agent, id, "whoami"), words);
  await assert.rejects(query(agent, id, "get", undefined, [IDL.Nat]), words);
}

const later = (ms = 60_000): Date => new Date(Date.now() + ms);
const webAuthnAlgorithms: CoseAlgorithm[] = ["P-256", "RSA", "Ed25519"];

async function keys(): Promise<[string, SignIdentity][]> {
  return [
    ["Ed25519", Ed25519KeyIdentity.generate()],
    ["secp256k1", Secp256k1KeyIdentity.generate()],
    ["P-256", await ECDSAKeyIdentity.generate({ subtleCrypto: webcrypto.subtle as never })],
    ...webAuthnAlgorithms.map((name): [string, SignIdentity] => [`WebAuthn ${name}`, webAuthnIdentity(name)]),
    ["canister signature", new CanisterIdentity(await network.agent(), provider, Buffer.from("user 1"))],
  ];
}

describe("kinds of keys", () => {
  test("a request signed by each is from who signed it", async () => {
    for (const [name, identity] of await keys()) {
      assert.equal(await seenBy(identity), identity.getPrincipal().toText(), name);
    }
  });

  test("each can delegate to each", async () => {
    const all = await keys();
    for (const [i, [name, from]] of all.entries()) {
      const [toName, to] = all[(i + 1) % all.length] as [string, SignIdentity];
      const chain = await DelegationChain.create(from, to.getPublicKey(), later());
      const seen = await seenBy(DelegationIdentity.fromDelegation(to, chain));
      assert.equal(seen, from.getPrincipal().toText(), `${name} to ${toName}`);
    }
  });

  test("somebody else's signature is refused, whatever the kind", async () => {
    for (const [name, identity] of await keys()) {
      const stranger = Ed25519KeyIdentity.generate();
      const forged = { getPublicKey: () => identity.getPublicKey(), sign: (blob: Uint8Array) => stranger.sign(blob) };
      const chain = DelegationChain.fromDelegations([], identity.getPublicKey().toDer());
      await refused(DelegationIdentity.fromDelegation(forged, chain), /Invalid signature/).catch((error: unknown) => {
        throw new Error(name, { cause: error });
      });
    }
  });

  test("without an identity the caller is anonymous", async () => {
    const agent = await network.agent();
    assert.equal((await update<Principal>(agent, counter, "whoami", undefined, PRINCIPAL)).toText(), "2vxsx-fae");
  });
});

describe("delegations", () => {
  const root = Ed25519KeyIdentity.generate();
  const session = Ed25519KeyIdentity.generate();

  const delegated = async (options: { targets?: Principal[]; permissions?: string } = {}, expiration = later()) => {
    const chain = await DelegationChain.create(root, session.getPublicKey(), expiration, options);
    return DelegationIdentity.fromDelegation(session, DelegationChain.fromJSON(JSON.stringify(chain.toJSON())));
  };

  test("with targets reach these canisters only", async () => {
    const identity = await delegated({ targets: [counter] });
    assert.equal(await seenBy(identity), root.getPrincipal().toText());
    await refused(identity, /is not one of the delegation targets/, other);
  });

  test("reach the management canister only when it is listed", async () => {
    const without = await agentOf(await delegated({ targets: [counter] }));
    await assert.rejects(createCanister(without), /'aaaaa-aa' is not one of the delegation targets/);
    const agent = await agentOf(await delegated({ targets: [MANAGEMENT] }));
    const mine = await createCanister(agent);
    await managementActor(agent, mine).install_code({
      mode: { install: null },
      canister_id: mine,
      wasm_module: (await canister("counter")).wasm,
      arg: IDL.encode([], []),
    });
    await refused(await delegated({ targets: [MANAGEMENT] }), /is not one of the delegation targets/, mine);
  });

  test("narrow each other: what counts is in every link", async () => {
    const middle = Secp256k1KeyIdentity.generate();
    const first = await DelegationChain.create(root, middle.getPublicKey(), later(), { targets: [counter, other] });
    const second = await DelegationChain.create(middle, session.getPublicKey(), later(), {
      previous: first,
      targets: [counter, MANAGEMENT],
    });
    const identity = DelegationIdentity.fromDelegation(session, second);
    assert.equal(await seenBy(identity), root.getPrincipal().toText());
    await refused(identity, /is not one of the delegation targets/, other);
  });

  test("bound what may be read of a request as well", async () => {
    const agent = await agentOf(root);
    const { requestId } = await agent.call(counter, { methodName: "inc", arg: IDL.encode([], []), callSync: false });
    const path = [new TextEncoder().encode("request_status"), requestId];
    const elsewhere = await agentOf(await delegated({ targets: [other] }));
    await assert.rejects(
      elsewhere.readState({ canisterId: counter }, { paths: [path] }),
      /not belonging to sender delegation targets/,
    );
    const stranger = await agentOf(Ed25519KeyIdentity.generate());
    await assert.rejects(stranger.readState({ canisterId: counter }, { paths: [path] }), /not signed by the caller/);
    await (await agentOf(await delegated({ targets: [counter] }))).readState(
      { canisterId: counter },
      { paths: [path] },
    );
  });

  test("that are only for queries allow no calls", async () => {
    const agent = await agentOf(await delegated({ permissions: "queries" }));
    await query(agent, counter, "get", undefined, [IDL.Nat]);
    await assert.rejects(update(agent, counter, "whoami"), /does not allow calls/);
    await refused(await delegated({ permissions: "everything" }), /unknown permissions/);
    assert.equal(await seenBy(await delegated({ permissions: "all" })), root.getPrincipal().toText());
  });

  test("end when they expire", async () => {
    await refused(
      await delegated({}, later(-1_000)),
      /Invalid delegation expiry: Specified sender delegation has expired/,
    );
    const end = later(4_000);
    const soon = await delegated({}, end);
    assert.equal(await seenBy(soon), root.getPrincipal().toText());
    await new Promise((resolve) => setTimeout(resolve, end.getTime() - Date.now() + 100));
    await refused(soon, /Invalid delegation expiry/);
  });

  test("make chains of up to twenty, without going in a circle", async () => {
    const long = await chainOf(root, 20);
    assert.equal(await seenBy(long), root.getPrincipal().toText());
    await refused(await chainOf(root, 21), /at most 20 are allowed/);
    const there = await DelegationChain.create(root, session.getPublicKey(), later());
    const back = await DelegationChain.create(session, root.getPublicKey(), later(), { previous: there });
    await refused(DelegationIdentity.fromDelegation(root, back), /at least one cycle/);
  });

  test("that somebody changed are refused", async () => {
    const chain = await DelegationChain.create(root, session.getPublicKey(), later(), { targets: [counter] });
    const json = chain.toJSON();
    const [link] = json.delegations;
    delete link?.delegation.targets;
    await refused(DelegationIdentity.fromDelegation(session, DelegationChain.fromJSON(json)), /Invalid delegation/);
  });
});

describe("an identity provider on the network", () => {
  test("hands a session its user's identity, and what it knows about the user to the canister called", async () => {
    const anonymous = await network.agent();
    const user = new CanisterIdentity(anonymous, provider, Buffer.from("user 2"));
    const session = await ECDSAKeyIdentity.generate({ subtleCrypto: webcrypto.subtle as never });
    const chain = await DelegationChain.create(user, session.getPublicKey(), later());
    const inner = DelegationIdentity.fromDelegation(session, chain);
    assert.equal(await seenBy(inner), user.getPrincipal().toText());

    const info = Buffer.from("name=Ada");
    const signature = await user.sign(Buffer.concat([Buffer.from("\x0eic-sender-info"), info]));
    const attributes = { data: new Uint8Array(info), signature: new Uint8Array(signature) };
    const identity = new AttributesIdentity({ inner, attributes, signer: { canisterId: provider } });
    const reading = await deploy(anonymous, universalModule(), new Uint8Array());
    const agent = await agentOf(identity);
    const program = reply(concat(callerInfoData(), callerInfoSigner()));
    const expected = Buffer.concat([info, provider.toUint8Array()]);
    for (const callSync of [true, false]) {
      const answer = await agent.update(reading, { methodName: "update", arg: program, callSync });
      assert.deepEqual(Buffer.from(answer.reply), expected);
    }
    const asked = await agent.query(reading, { methodName: "query", arg: program });
    assert.ok(asked.status === "replied");
    assert.deepEqual(Buffer.from(asked.reply.arg), expected);

    const changed = { data: Buffer.from("name=Eve"), signature: attributes.signature };
    const forged = new AttributesIdentity({ inner, attributes: changed, signer: { canisterId: provider } });
    await refused(forged, /Invalid sender info: /);
    const misplaced = new AttributesIdentity({ inner, attributes, signer: { canisterId: counter } });
    await refused(misplaced, /Invalid sender info: signer .* does not match/);
  });

  test("cannot speak for another provider's users", async () => {
    const anonymous = await network.agent();
    const mine = new CanisterIdentity(anonymous, provider, Buffer.from("user 3"));
    const theirs = new CanisterIdentity(anonymous, other, Buffer.from("user 3"));
    const chain = DelegationChain.fromDelegations([], theirs.getPublicKey().toDer());
    await refused(DelegationIdentity.fromDelegation(mine, chain), /Invalid canister signature/);
  });
});

async function chainOf(root: SignIdentity, length: number): Promise<DelegationIdentity> {
  let from = root;
  let previous: DelegationChain | undefined;
  for (let i = 0; i < length; i++) {
    const to = Ed25519KeyIdentity.generate();
    previous = await DelegationChain.create(from, to.getPublicKey(), later(), previous && { previous });
    from = to;
  }
  return DelegationIdentity.fromDelegation(from, previous as DelegationChain);
}
