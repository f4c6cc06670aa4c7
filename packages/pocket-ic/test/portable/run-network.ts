// A small network, run from a seed: tells what each subnet certified at each height, and which libraries it had. The
// first argument names the crypto port: "node", or "universal" as in a browser.
import { createRequire } from "node:module";
import { reconstructRoot, verifyCertificate } from "@atoll/crypto";
import { createUniversalCrypto } from "@atoll/crypto/universal-port";
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import { ANONYMOUS, type CanisterId, decodeCertificate, type PrincipalId, principalToBytes, toHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import type { Principal } from "@icp-sdk/core/principal";
import * as u from "../../../execution/test/canisters/universal.ts";
import { Network } from "../../src/index.ts";

const crypto = process.argv[2] === "universal" ? createUniversalCrypto() : await createNodeCrypto();
const ports = {
  crypto,
  clock: nodeClock,
  timer: { after: () => () => undefined },
  log: { log: () => undefined },
};
const subnets = [{ kind: "application" }, { kind: "application" }] as const;
const network = await Network.create({ subnets, seed: new Uint8Array(32).fill(7) }, ports);
const certified: string[] = [];

function seeCertified(): void {
  for (const { replica } of network.subnets.values()) {
    const state = replica.backend.certifiedState();
    if (state === undefined) throw new Error("a subnet has certified nothing");
    const certificate = state.certificate([], "sharded");
    const { ok } = verifyCertificate(certificate, { crypto, rootKey: network.rootKey });
    const { tree, signature } = decodeCertificate(certificate);
    certified.push(`${state.height} ${toHex(reconstructRoot(tree, crypto.sha256))} ${toHex(signature)} ${ok}`);
  }
}

async function call(receiver: string, methodName: string, arg: Uint8Array, effective?: PrincipalId) {
  const call = { sender: ANONYMOUS, receiver: receiver as CanisterId, methodName, arg };
  const submission = await network.submit({ ...call, ...(effective && { effective }) });
  if (!submission.ok) throw new Error(submission.error.message);
  const status = await network.awaitMessage(submission.message);
  if (status?.state !== "replied") throw new Error(`${methodName}: ${JSON.stringify(status)}`);
  seeCertified();
  return status.reply;
}

const Created = IDL.Record({ canister_id: IDL.Principal });
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

async function universal(subnet: PrincipalId): Promise<CanisterId> {
  const create = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [10n ** 15n] }]);
  const reply = await call("", "provisional_create_canister_with_cycles", create, subnet);
  const [{ canister_id }] = IDL.decode([Created], reply) as unknown as [{ canister_id: Principal }];
  const code = { mode: { install: null }, canister_id, wasm_module: u.universalModule({}), arg: [] };
  const id = toHex(canister_id.toUint8Array()) as CanisterId;
  await call("", "install_code", IDL.encode([Install], [code]), id);
  return id;
}

const [one, two] = [...network.subnets.keys()] as [PrincipalId, PrincipalId];
const [near, far] = [await universal(one), await universal(two)];
const program = u.call({
  callee: u.bytes(principalToBytes(far)),
  method: "update",
  arg: u.bytes(u.reply(u.bytes("from afar"))),
});
const reply = new TextDecoder().decode(await call(near, "update", program));
await network.close();

const require = createRequire(import.meta.url);
const canLoad = (name: string): boolean => {
  try {
    require(name);
    return true;
  } catch {
    return false;
  }
};
const signer = Secp256k1KeyIdentity.fromSecretKey(new Uint8Array(32).fill(9));
const message = new TextEncoder().encode("signed with secp256k1");
const key = signer.getPublicKey().toDer();
const signature = new Uint8Array(await signer.sign(message));
process.stdout.write(
  JSON.stringify({
    hasMcl: canLoad("mcl-wasm"),
    hasSecp256k1: canLoad("secp256k1/bindings.js"),
    result: {
      reply,
      certified,
      verified: crypto.verify("secp256k1", key, message, signature),
      refused: crypto.verify("secp256k1", key, message.slice(1), signature),
    },
  }),
);
