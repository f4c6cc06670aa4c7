// What is checked before a canister gets at the outside world: HTTP outcalls, and what this version cannot do yet and
// checks as if it could: threshold keys, Bitcoin. Limits and texts from the specification and the replica
// (canister_http.rs, http.rs, threshold_signatures.rs); checklist 4.6-4.8.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { type MethodName, methods } from "./interface.ts";
import { sampleArgs } from "./sample-args.ts";
import { ALICE, BOB, callAsCanister, newCanisterOf, newSubnet, principal, takeResponses } from "./subnet.ts";

const subnet = newSubnet({ nodes: [{ nodeId: BOB, publicKey: new Uint8Array(44) }] });
const canister = newCanisterOf(subnet, ALICE);
const PLENTY = 10n ** 15n;

const OPEN = "waits for the outside world";

/** Reject code and text, with which all cycles come back; or that there is no answer yet. */
function refused(method: MethodName, arg: unknown, payment = PLENTY): string {
  callAsCanister(subnet, canister, method, arg, payment);
  const [response] = takeResponses(canister);
  if (response === undefined && subnet.state.outcalls.takeChanges().began.length === 1) return OPEN;
  assert.ok(response !== undefined && response.payload.kind === "reject");
  assert.equal(response.refund, payment);
  return `${response.payload.code} ${response.payload.message}`;
}

function sample(method: MethodName, over: object): unknown {
  const [value] = IDL.decode([...methods[method].arg], sampleArgs(canister.id).get(method) as Uint8Array);
  return { ...(value as unknown as object), ...over };
}

const check = (method: MethodName, cases: readonly [string, object, RegExp | string, bigint?][]) => {
  for (const [name, over, expected, payment] of cases) {
    test(`${method}: ${name}`, () => {
      const text = refused(method, sample(method, over), payment);
      if (typeof expected === "string") assert.equal(text, expected);
      else assert.match(text, expected);
    });
  }
};

describe("http_request", () => {
  const header = (name: number, value: number) => ({ name: "n".repeat(name), value: "v".repeat(value) });
  const transform = (id: string) => [{ function: [principal(id as never), "transform"], context: new Uint8Array() }];
  check("http_request", [
    ["right", {}, OPEN],
    [
      "with everything that is allowed",
      { transform: transform(canister.id), is_replicated: [false], method: { patch: null } },
      OPEN,
    ],
    [
      "the longest URL, headers and body",
      { url: "u".repeat(8192), headers: Array(6).fill(header(8192 - 100, 100)), body: [new Uint8Array(1_950_000)] },
      OPEN,
    ],
    ["URL", { url: "ü".repeat(4097) }, "4 url size 8194 exceeds 8192"],
    [
      "transform of another canister",
      { transform: transform(BOB) },
      /^4 transform principal id expected to be \S+, got \S+$/,
    ],
    [
      "65 headers",
      { headers: Array(65).fill(header(1, 1)) },
      /^4 Error decoding candid: .*The number of elements exceeds maximum allowed 64$/,
    ],
    [
      "a header of more than 16 KiB",
      { headers: [header(8193, 8192)] },
      /^4 Error decoding candid: .*The single element data size exceeds maximum allowed 16384$/,
    ],
    [
      "headers of more than 48 KiB",
      { headers: Array(7).fill(header(8000, 0)) },
      /^4 Error decoding candid: .*The total data size exceeds maximum allowed 49152$/,
    ],
    [
      "header name",
      { headers: [header(8193, 0)] },
      "4 number of bytes to represent some http header name 8193 exceeds 8192",
    ],
    [
      "header value",
      { headers: [header(0, 8193)] },
      "4 number of bytes to represent some http header value 8193 exceeds 8192",
    ],
    [
      "request of more than 2 MB",
      { headers: [header(1, 0)], body: [new Uint8Array(2_000_000)] },
      "4 total number of bytes to represent all http header names and values and http body 2000001 exceeds 2000000",
    ],
    [
      "response of more than 2 MB",
      { max_response_bytes: [2_000_001n] },
      "4 max_response_bytes expected to be in the range [0..2000000], got 2000001",
    ],
    ...(["put", "delete", "patch"] as const).map(
      (method) =>
        [
          `${method} by all nodes`,
          { method: { [method]: null } },
          /^4 The requested HTTP method is only allowed for non-replicated requests/,
        ] as [string, object, RegExp],
    ),
    // (3,000,000 + 60,000 * 13 + 400 * 19 + 800 * 1000) * 13 for 19 bytes of URL.
    [
      "fee",
      { max_response_bytes: [1000n] },
      "4 http_request request sent with 59_638_799 cycles, but 59_638_800 cycles are required.",
      59_638_799n,
    ],
    ["exactly the fee", { max_response_bytes: [1000n] }, OPEN, 59_638_800n],
  ]);
});

describe("threshold keys", () => {
  const ecdsa = (name: string) => ({ key_id: { curve: { secp256k1: null }, name } });
  const schnorr = (algorithm: string, name = "key_1") => ({ key_id: { algorithm: { [algorithm]: null }, name } });
  const vetkd = (name: string) => ({ key_id: { curve: { bls12_381_g2: null }, name } });
  const unavailable = (method: string) => `4 ${method} is not available in this version of Atoll`;
  const path = (length: number) => ({ derivation_path: Array(length).fill(Uint8Array.of(1)) });
  const tooLong = /^4 Error decoding candid: .*The number of elements exceeds maximum allowed 255$/;
  const aux = (bytes: number) => ({ aux: [{ bip341: { merkle_root_hash: new Uint8Array(bytes) } }] });
  const FEE = 10_000_000_000n;
  const tooLittle = (method: string) =>
    `4 ${method} request sent with 9_999_999_999 cycles, but 10_000_000_000 cycles are required.`;

  for (const [method, key] of [
    ["ecdsa_public_key", ecdsa],
    ["sign_with_ecdsa", ecdsa],
    ["schnorr_public_key", (name: string) => schnorr("ed25519", name)],
    ["sign_with_schnorr", (name: string) => schnorr("bip340secp256k1", name)],
    ["vetkd_public_key", vetkd],
    ["vetkd_derive_key", vetkd],
  ] as const) {
    const costs = method.startsWith("sign") || method === "vetkd_derive_key";
    check(method, [
      ["key_1", key("key_1"), unavailable(method)],
      ["test_key_1", key("test_key_1"), unavailable(method)],
      [
        "an unknown key",
        key("nobody's"),
        /^4 Subnet \S+ does not hold threshold key (ecdsa:Secp256k1|schnorr:(Ed25519|Bip340Secp256k1)|vetkd:Bls12_381_G2):nobody's\.$/,
      ],
      ["fee", key("key_1"), costs ? tooLittle(method) : unavailable(method), FEE - 1n],
      ["exactly the fee", key("key_1"), unavailable(method), FEE],
    ]);
    if (!method.startsWith("vetkd")) {
      check(method, [
        ["the longest path", path(255), unavailable(method)],
        ["a path too long", path(256), tooLong],
      ]);
    }
  }
  check("sign_with_ecdsa", [
    ["a hash of 31 bytes", { message_hash: new Uint8Array(31) }, /^4 Error decoding candid: message_hash/],
  ]);
  check("sign_with_schnorr", [
    ["aux of 32 bytes", { ...schnorr("bip340secp256k1"), ...aux(32) }, unavailable("sign_with_schnorr")],
    ["aux of none", { ...schnorr("bip340secp256k1"), ...aux(0) }, unavailable("sign_with_schnorr")],
    ["aux of 31 bytes", { ...schnorr("bip340secp256k1"), ...aux(31) }, "4 Invalid aux field for Bip340Secp256k1"],
    [
      "aux for Ed25519",
      { ...schnorr("ed25519"), ...aux(32) },
      "4 Schnorr algorithm Ed25519 does not support aux input",
    ],
  ]);
  check("vetkd_derive_key", [
    [
      "a transport key of 47 bytes",
      { transport_public_key: new Uint8Array(47) },
      /^4 Error decoding candid: transport_public_key/,
    ],
    [
      "a transport key that is no point",
      { transport_public_key: new Uint8Array(48) },
      "4 The provided transport public key is invalid.",
    ],
  ]);
});

describe("Bitcoin", () => {
  const none = "4 No bitcoin canisters available.";
  check("bitcoin_get_balance", [
    ["144 confirmations", { min_confirmations: [144] }, none],
    ["145 confirmations", { min_confirmations: [145] }, /^4 The requested min_confirmations is too large/],
  ]);
  check("bitcoin_get_utxos", [
    ["a page", { filter: [{ page: new Uint8Array(3) }] }, none],
    ["145 confirmations", { filter: [{ min_confirmations: 145 }] }, /^4 The requested min_confirmations is too large/],
  ]);
  check("bitcoin_get_block_headers", [
    ["one block", { start_height: 5, end_height: [5] }, none],
    ["backwards", { start_height: 5, end_height: [4] }, /^4 The requested start height is larger/],
  ]);
  check("bitcoin_get_current_fee_percentiles", [["right", {}, none]]);
  check("bitcoin_send_transaction", [["right", {}, none]]);
});
