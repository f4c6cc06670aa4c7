// Requests that somebody else signed, nobody signed, or that were good once: every scheme, delegations, expiry, replay.
// Rules and texts: checklist 1.2, 1.5 to 1.8. The keys are the official library's, the envelopes are made by hand.
import assert from "node:assert/strict";
import { generateKeyPairSync, sign as nodeSign } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { requestIdOf, type SignIdentity } from "@icp-sdk/core/agent";
import { ECDSAKeyIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import * as u from "../../../../packages/execution/test/canisters/universal.ts";
import { count, startVictim, type Victim } from "./victim.ts";
import { type Answer, type Content, content, envelope, nowNs, post, type RequestKind } from "./wire.ts";

const MEMORY_BOUND_MIB = 700;

let victim: Victim;
before(async () => {
  victim = await startVictim();
});
after(() => victim?.close(MEMORY_BOUND_MIB));

interface Signer {
  readonly der: Uint8Array;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

function signer(identity: SignIdentity): Signer {
  return {
    der: new Uint8Array(identity.getPublicKey().toDer()),
    sign: async (message) => new Uint8Array(await identity.sign(message)),
  };
}

const makers: Record<string, () => Promise<Signer>> = {
  ed25519: async () => signer(Ed25519KeyIdentity.generate()),
  p256: async () => signer(await ECDSAKeyIdentity.generate()),
  secp256k1: async () => signer(Secp256k1KeyIdentity.generate()),
};
const newKey = makers.ed25519 as () => Promise<Signer>;

const domain = (name: string): Uint8Array => Uint8Array.of(name.length, ...new TextEncoder().encode(name));
const REQUEST = domain("ic-request");
const DELEGATION = domain("ic-request-auth-delegation");
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const idOf = (fields: object): Uint8Array => new Uint8Array(requestIdOf(fields as Record<string, unknown>));

const READ = u.reply(u.le64(u.getSlot(0)));
const INCREMENT = u.seq(u.setSlot(0, u.add(u.getSlot(0), u.int(1))), READ);

/** Fields of a request by `key` to the counter. */
function request(key: Signer, kind: RequestKind = "query", changes: Content = {}): Content {
  const call = {
    canister_id: victim.counter.toUint8Array(),
    method_name: kind === "call" ? "update" : "query",
    arg: kind === "call" ? INCREMENT : READ,
  };
  const sender = Principal.selfAuthenticating(key.der).toUint8Array();
  return content(kind, { sender, ...(kind === "read_state" ? {} : call), ...changes });
}

const signed = async (key: Signer, fields: Content): Promise<Uint8Array> => key.sign(joined(REQUEST, idOf(fields)));

function send(kind: RequestKind, fields: Content, authentication: Content): Promise<Answer> {
  const endpoint = kind === "call" ? "v4/canister/ID/call" : `v3/canister/ID/${kind}`;
  return post(`${victim.url}/api/${endpoint.replace("ID", victim.counter.toText())}`, envelope(fields, authentication));
}

async function assertRefused(answer: Promise<Answer>, reason: RegExp): Promise<void> {
  const { status, text } = await answer;
  assert.equal(status, 400, text);
  assert.match(text, reason);
}

const ORDERS: Record<string, bigint> = {
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
};

/** r and n - s: as good a signature to those who do not care. */
function withOtherS(signature: Uint8Array, order: bigint): { high: Uint8Array; low: Uint8Array } {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString("hex")}`);
  const write = (value: bigint): Uint8Array =>
    joined(signature.subarray(0, 32), Buffer.from(value.toString(16).padStart(64, "0"), "hex"));
  return s > order / 2n ? { high: write(s), low: write(order - s) } : { high: write(order - s), low: write(s) };
}

for (const [scheme, make] of Object.entries(makers)) {
  describe(scheme, () => {
    let key: Signer;
    let fields: Content;
    let signature: Uint8Array;
    before(async () => {
      key = await make();
      fields = request(key);
      signature = await signed(key, fields);
    });
    const attempt = (sig: Uint8Array, pubkey = key.der): Promise<Answer> =>
      send("query", fields, { sender_pubkey: pubkey, sender_sig: sig });

    test("a good signature is taken", async () => {
      assert.equal((await attempt(signature)).status, 200);
    });

    test("bits turned over, halves swapped, bytes missing or too many", async () => {
      for (let bit = 0; bit < 512; bit += 37) {
        const flipped = signature.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        await assertRefused(attempt(flipped), /Invalid signature: Invalid basic signature/);
      }
      const wrong = [
        joined(signature.subarray(32), signature.subarray(0, 32)),
        signature.subarray(0, 63),
        joined(signature, Uint8Array.of(0)),
        new Uint8Array(),
        new Uint8Array(64),
        new Uint8Array(64).fill(255),
        new Uint8Array(100_000),
      ];
      for (const bytes of wrong) await assertRefused(attempt(bytes), /Invalid signature: Invalid basic signature/);
    });

    test("of other bytes, of another domain, by another key", async () => {
      const other = await make();
      const id = idOf(fields);
      for (const message of [
        id,
        joined(DELEGATION, id),
        joined(domain("ic-response"), id),
        joined(REQUEST, idOf({ ...fields, arg: INCREMENT })),
      ]) {
        await assertRefused(attempt(await key.sign(message)), /Invalid signature/);
      }
      await assertRefused(attempt(await signed(other, fields)), /Invalid signature/);
      await assertRefused(
        attempt(await signed(other, fields), other.der),
        /The user id '.*' does not match the public key/,
      );
    });

    test("keys that are not quite keys", async () => {
      const broken = [
        key.der.subarray(1),
        joined(key.der, Uint8Array.of(0)),
        key.der.subarray(0, -1),
        new Uint8Array(),
        new Uint8Array(3).fill(0x30),
      ];
      for (const der of broken) {
        const mine = { ...fields, sender: Principal.selfAuthenticating(der).toUint8Array() };
        await assertRefused(
          send("query", mine, { sender_pubkey: der, sender_sig: await signed(key, mine) }),
          /Invalid public key/,
        );
      }
    });

    const order = ORDERS[scheme];
    test("the other s of the same signature", { skip: order === undefined }, async () => {
      const { high, low } = withOtherS(signature, order as bigint);
      assert.equal((await attempt(low)).status, 200);
      // libsecp256k1 insists on the lower one; P-256 signatures of browsers may have either.
      if (scheme === "secp256k1") await assertRefused(attempt(high), /Invalid signature/);
      else assert.equal((await attempt(high)).status, 200);
    });
  });
}

describe("who and whether", () => {
  test("parts of a signature are missing or do not belong there", async () => {
    const key = await newKey();
    const fields = request(key);
    const sender_sig = await signed(key, fields);
    await assertRefused(send("query", fields, {}), /Missing signature from user/);
    await assertRefused(send("query", fields, { sender_sig }), /missing pubkey or signature/);
    await assertRefused(send("query", fields, { sender_pubkey: key.der }), /missing pubkey or signature/);
    const anonymous = content("query", { canister_id: victim.counter.toUint8Array(), method_name: "query", arg: READ });
    const authentication = { sender_pubkey: key.der, sender_sig: await signed(key, anonymous) };
    await assertRefused(send("query", anonymous, authentication), /Signature is not allowed for the anonymous user/);
  });

  test("RSA keys do not sign requests", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key: Signer = {
      der: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
      sign: async (message) => new Uint8Array(nodeSign("sha256", message, privateKey)),
    };
    const fields = request(key);
    const authentication = { sender_pubkey: key.der, sender_sig: await signed(key, fields) };
    await assertRefused(
      send("query", fields, authentication),
      /RSA signatures are not allowed except in webauthn context/,
    );
  });

  test("a canister signature and a WebAuthn signature of nonsense", async () => {
    const oid = (last: number): number[] => [0x30, 12, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xb8, 0x43, 1, last];
    for (const last of [1, 2]) {
      const bits = [0, 10, ...victim.counter.toUint8Array(), 1, 2, 3];
      const der = Uint8Array.from([0x30, 14 + 2 + bits.length, ...oid(last), 3, bits.length, ...bits]);
      const mine = {
        ...content("query", { canister_id: victim.counter.toUint8Array(), method_name: "query", arg: READ }),
        sender: Principal.selfAuthenticating(der).toUint8Array(),
      };
      for (const sig of [
        new Uint8Array(),
        new Uint8Array(64),
        Uint8Array.from([0xd9, 0xd9, 0xf7, 0xa0]),
        new Uint8Array(500_000).fill(0x81),
      ]) {
        await assertRefused(
          send("query", mine, { sender_pubkey: der, sender_sig: sig }),
          /Invalid (signature|public key)/,
        );
      }
    }
  });

  test("too early, too late, a nonce too long", async () => {
    const key = await newKey();
    const minutes = (count: number): bigint => nowNs() + BigInt(Math.round(count * 60e9));
    const attempt = async (kind: RequestKind, changes: Content): Promise<Answer> => {
      const fields = request(key, kind, changes);
      return send(kind, fields, { sender_pubkey: key.der, sender_sig: await signed(key, fields) });
    };
    for (const kind of ["call", "query", "read_state"] as const) {
      for (const ingress_expiry of [0n, minutes(-0.02), minutes(5.6), 2n ** 64n - 1n]) {
        await assertRefused(
          attempt(kind, { ingress_expiry }),
          /^Invalid request expiry: Specified ingress_expiry not within expected range/,
        );
      }
      await assertRefused(
        attempt(kind, { nonce: new Uint8Array(33) }),
        /Nonce in request is too big: got 33 bytes, but at most 32/,
      );
      assert.equal((await attempt(kind, { ingress_expiry: minutes(4.9), nonce: new Uint8Array(32) })).status, 200);
    }
  });

  test("a request that comes a hundred times is executed once", async () => {
    const key = await newKey();
    const before = await count(victim.url, victim.counter);
    const fields = request(key, "call");
    const authentication = { sender_pubkey: key.der, sender_sig: await signed(key, fields) };
    const answers = await Promise.all(Array.from({ length: 100 }, () => send("call", fields, authentication)));
    for (const { status } of answers) assert.ok(status === 200 || status === 202);
    assert.ok(answers.some(({ status }) => status === 200));
    assert.equal((await send("call", fields, authentication)).status, 200);
    assert.equal(await count(victim.url, victim.counter), before + 1n);
  });
});

describe("delegations", () => {
  interface Link {
    readonly to: Signer;
    readonly changes?: Content;
    /** Who signs it, when that is not the one before. */
    readonly by?: Signer;
  }

  async function attempt(kind: RequestKind, root: Signer, links: readonly Link[], last: Signer): Promise<Answer> {
    const fields = request(root, kind);
    const chain: { delegation: Content; signature: Uint8Array }[] = [];
    let from = root;
    for (const { to, changes = {}, by } of links) {
      const delegation = { pubkey: to.der, expiration: nowNs() + 600_000_000_000n, ...changes };
      chain.push({ delegation, signature: await (by ?? from).sign(joined(DELEGATION, idOf(delegation))) });
      from = to;
    }
    const authentication = {
      sender_pubkey: root.der,
      sender_sig: await signed(last, fields),
      sender_delegation: chain as never,
    };
    return send(kind, fields, authentication);
  }

  test("good ones are taken, up to twenty", async () => {
    const [a, b] = [await newKey(), await newKey()];
    assert.equal((await attempt("call", a, [{ to: b }], b)).status, 200);
    const keys = await Promise.all(Array.from({ length: 21 }, newKey));
    const links = keys.slice(0, 20).map((to) => ({ to }));
    assert.equal((await attempt("query", a, links, keys[19] as Signer)).status, 200);
    const tooMany = keys.map((to) => ({ to }));
    await assertRefused(
      attempt("query", a, tooMany, keys[20] as Signer),
      /Chain of delegations is too long: got 21 delegations/,
    );
  });

  test("expired, going in a circle, signed by others, of another key", async () => {
    const [a, b, c] = [await newKey(), await newKey(), await newKey()];
    const past = { expiration: nowNs() - 1_000_000_000n };
    await assertRefused(
      attempt("query", a, [{ to: b, changes: past }], b),
      /^Invalid delegation expiry: Specified sender delegation has expired/,
    );
    await assertRefused(attempt("query", a, [{ to: a }], a), /at least one cycle/);
    await assertRefused(attempt("query", a, [{ to: b }, { to: c }, { to: b }], b), /at least one cycle/);
    await assertRefused(attempt("query", a, [{ to: b, by: c }], b), /Invalid delegation: Invalid basic signature/);
    await assertRefused(attempt("query", a, [{ to: b }], c), /Invalid signature/);
    await assertRefused(attempt("query", a, [{ to: b }], a), /Invalid signature/);
  });

  test("targets that leave the canister out, and too many of them", async () => {
    const [a, b, c] = [await newKey(), await newKey(), await newKey()];
    const [here, there] = [victim.counter.toUint8Array(), Principal.managementCanister().toUint8Array()];
    const one = (...targets: Uint8Array[]): Content => ({ targets });
    assert.equal((await attempt("call", a, [{ to: b, changes: one(here, there) }], b)).status, 200);
    const outside = /is not one of the delegation targets/;
    await assertRefused(attempt("call", a, [{ to: b, changes: one(there) }], b), outside);
    await assertRefused(attempt("query", a, [{ to: b, changes: one() }], b), outside);
    await assertRefused(
      attempt(
        "query",
        a,
        [
          { to: b, changes: one(here) },
          { to: c, changes: one(there) },
        ],
        c,
      ),
      outside,
    );
    const many = one(...Array.from({ length: 1001 }, () => here));
    await assertRefused(attempt("query", a, [{ to: b, changes: many }], b), /at most 1000 targets/);
    await assertRefused(
      attempt("query", a, [{ to: b, changes: one(new Uint8Array(30)) }], b),
      /Delegation target error/,
    );
  });

  test("permissions for queries alone, and unknown ones", async () => {
    const [a, b] = [await newKey(), await newKey()];
    const link = (permissions: string): Link[] => [{ to: b, changes: { permissions } }];
    assert.equal((await attempt("query", a, link("queries"), b)).status, 200);
    await assertRefused(attempt("call", a, link("queries"), b), /does not allow calls/);
    assert.equal((await attempt("call", a, link("all"), b)).status, 200);
    for (const kind of ["call", "query", "read_state"] as const) {
      await assertRefused(attempt(kind, a, link("everything"), b), /unknown permissions/);
    }
  });
});

test("the request id of somebody else is not for others to read", async () => {
  const [mine, yours] = [await newKey(), await newKey()];
  const call = request(mine, "call");
  await send("call", call, { sender_pubkey: mine.der, sender_sig: await signed(mine, call) });
  const paths = [[new TextEncoder().encode("request_status"), idOf(call)]];
  const read = async (key: Signer): Promise<number> => {
    const fields = request(key, "read_state", { paths });
    return (await send("read_state", fields, { sender_pubkey: key.der, sender_sig: await signed(key, fields) })).status;
  };
  assert.equal(await read(yours), 403);
  assert.equal(await read(mine), 200);
});
