// One of the two subnets of round.ts: told how many canisters to have, then how many rounds to run.
import { certify, signShare } from "@atoll/consensus";
import { type CanisterId, fromHex, type IngressMessage } from "@atoll/types";
import { certifiedState } from "../packages/replica/src/certified-tree.ts";
import { ownCpu } from "./measure.ts";
import { BenchSubnet } from "./subnet.ts";

export type RoundOrder =
  | { readonly kind: "deploy"; readonly canisters: number; readonly wasm: Uint8Array }
  | { readonly kind: "measure"; readonly rounds: number };

/** Microseconds of CPU each. */
export interface RoundCosts {
  readonly round: number;
  readonly signature: number;
  readonly certificate: number;
  readonly checkpoint: number;
}

/** The same number of canisters takes turns in both subnets, so that both have the same instances alive. */
const IN_TURN = 10;
const REQUEST_STATUS = new TextEncoder().encode("request_status");

const subnet = await BenchSubnet.create();
let ids: CanisterId[] = [];

process.on("message", async (order: RoundOrder) => {
  process.send?.(order.kind === "deploy" ? await deploy(order) : await measure(order.rounds));
});

async function deploy({ canisters, wasm }: { canisters: number; wasm: Uint8Array }): Promise<number> {
  const before = ownCpu();
  ids = await subnet.deploy(canisters, wasm);
  return (ownCpu() - before) / canisters;
}

async function measure(rounds: number): Promise<RoundCosts> {
  const messages = Array.from({ length: rounds }, (_, i) => increment(i));
  const round = await cost(rounds, (i) => subnet.round([messages[i] as IngressMessage]));
  const few = Math.min(rounds, 30);
  let signature: Uint8Array = new Uint8Array();
  const signing = await cost(few, () => {
    signature = sign();
  });
  const certified = certifiedState(
    subnet.tree,
    () => signature,
    () => undefined,
    subnet.crypto.sha256,
  );
  const certificate = await cost(rounds, (i) => {
    certified.certificate([[REQUEST_STATUS, fromHex((messages[i] as IngressMessage).requestId)]], "sharded");
  });
  subnet.executor.durable.checkpoint();
  let checkpoint = 0;
  for (let i = 0; i < few; i++) {
    await subnet.round([increment(i)]);
    checkpoint += await cost(1, () => subnet.executor.durable.checkpoint());
  }
  return { round, signature: signing, certificate, checkpoint: checkpoint / few };
}

function increment(turn: number): IngressMessage {
  return subnet.message(ids[turn % IN_TURN] as CanisterId, "inc", new Uint8Array());
}

function sign(): Uint8Array {
  const { share, threshold } = subnet.options;
  const { bls } = subnet.crypto;
  const made = certify([signShare(share, subnet.tree.height, subnet.rootHash(), bls)], threshold, bls);
  if (made === undefined) throw new Error("one share did not make a signature");
  return made.signature;
}

async function cost(times: number, act: (i: number) => unknown): Promise<number> {
  const before = ownCpu();
  for (let i = 0; i < times; i++) await act(i);
  return (ownCpu() - before) / times;
}
