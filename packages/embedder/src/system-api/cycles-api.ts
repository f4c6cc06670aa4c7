// System calls about cycles: what came in, what is there, what things cost. Checklist 3.3, 5.
// Amounts are u128; the 64-bit forms exist in 32-bit modules only and trap when a value does not fit.

import { addCycles, type Cycles, canisterIdFromIndex, principalToText } from "@atoll/types";
import type { Execution, Value } from "../execution.ts";
import { contractViolation } from "../execution-error.ts";
import { ALL_BUT_START, EVERY, Mode } from "../modes.ts";
import { type ApiTable, lossyText, perByte, strictText } from "./api-function.ts";

const INCOMING = Mode.update | Mode.replicatedQuery | Mode.reply | Mode.reject;
const REFUNDED = Mode.reply | Mode.reject;
const BURNING =
  Mode.init |
  Mode.preUpgrade |
  Mode.update |
  Mode.replicatedQuery |
  Mode.reply |
  Mode.reject |
  Mode.cleanup |
  Mode.task;

const MINTING = Mode.update | Mode.reply | Mode.reject | Mode.task;
/** rkp4c-7iaaa-aaaaa-aaaca-cai. */
const CYCLES_MINTING_CANISTER = canisterIdFromIndex(4n);

export const cyclesApi: ApiTable = {
  msg_cycles_available: { modes: INCOMING, cost: 500, run: (x) => x.cycles64(x.available) },
  msg_cycles_available128: {
    modes: INCOMING,
    heap: true,
    cost: 500,
    run: (x, target) => write(x, "msg_cycles_available128", target, x.available),
  },
  msg_cycles_refunded: { modes: REFUNDED, cost: 500, run: (x) => x.cycles64(x.input.cyclesRefunded) },
  msg_cycles_refunded128: {
    modes: REFUNDED,
    heap: true,
    cost: 500,
    run: (x, target) => write(x, "msg_cycles_refunded128", target, x.input.cyclesRefunded),
  },
  msg_cycles_accept: {
    modes: INCOMING,
    cost: 500,
    run: (x, max) => x.acceptCycles(BigInt.asUintN(64, max as bigint)),
  },
  msg_cycles_accept128: {
    modes: INCOMING,
    heap: true,
    cost: 500,
    run: (x, high, low, target) => {
      return write(x, "msg_cycles_accept128", target, x.acceptCycles(amount128(high, low)));
    },
  },
  cycles_burn128: {
    modes: BURNING,
    heap: true,
    cost: 500,
    run: (x, high, low, target) => {
      const wanted = amount128(high, low);
      const liquid = x.liquidCycles();
      const burned = wanted < liquid ? wanted : liquid;
      x.effects.cycles -= burned;
      x.effects.cyclesBurned += burned;
      return write(x, "cycles_burn128", target, burned);
    },
  },
  canister_cycle_balance: { modes: ALL_BUT_START, cost: 500, run: (x) => x.cycles64(x.effects.cycles) },
  canister_cycle_balance128: {
    modes: ALL_BUT_START,
    heap: true,
    cost: 500,
    run: (x, target) => write(x, "canister_cycle_balance128", target, x.effects.cycles),
  },
  canister_liquid_cycle_balance128: {
    modes: ALL_BUT_START,
    heap: true,
    cost: 500,
    run: (x, target) => write(x, "canister_liquid_cycle_balance128", target, x.liquidCycles()),
  },
  cost_call: {
    modes: EVERY,
    heap: true,
    cost: 500,
    run: (x, nameSize, payloadSize, target) => {
      const cost = x.input.fees.callCost(x.size(nameSize as Value), x.size(payloadSize as Value));
      return write(x, "cost_call", target, cost.request + cost.prepaidResponse + cost.prepaidExecution);
    },
  },
  cost_create_canister: {
    modes: EVERY,
    heap: true,
    cost: 500,
    run: (x, target) => write(x, "cost_create_canister", target, x.input.fees.createCanister()),
  },
  cost_http_request: {
    modes: EVERY,
    heap: true,
    cost: 500,
    run: (x, requestSize, maxResponse, target) =>
      write(
        x,
        "cost_http_request",
        target,
        x.input.fees.httpRequest(BigInt.asUintN(64, requestSize as bigint), BigInt.asUintN(64, maxResponse as bigint)),
      ),
  },
  cost_http_request_v2: {
    modes: EVERY,
    cost: 10_000,
    heap: true,
    run: (x, source, size, target) => {
      const params = x.readHeap("ic0.cost_http_request_v2 heap", source as Value, size as Value);
      const cost = x.input.fees.httpRequestV2(params);
      if (cost === undefined) throw contractViolation("Failed to decode HttpRequestV2CostParams from Candid");
      return write(x, "cost_http_request_v2", target, cost);
    },
  },
  mint_cycles128: {
    modes: MINTING,
    cost: 0,
    heap: true,
    run: (x, high, low, target) => write(x, "mint_cycles_128", target, mint(x, amount128(high, low))),
  },
  cost_sign_with_ecdsa: signatureCost("cost_sign_with_ecdsa", [0]),
  cost_sign_with_schnorr: signatureCost("cost_sign_with_schnorr", [0, 1]),
  cost_vetkd_derive_key: signatureCost("cost_vetkd_derive_key", [0]),
};

function signatureCost(api: string, curves: readonly number[]): ApiTable[string] {
  return {
    modes: EVERY,
    cost: perByte(500, 1),
    heap: true,
    run: (x, source, size, curve, target) => {
      const bytes = x.readHeap(`ic0.${api} heap`, source as Value, size as Value);
      const name = strictText(bytes);
      if (name === undefined) throw contractViolation(`Failed to decode key name ${lossyText(bytes)}`);
      if (!curves.includes(curve as number)) return 1;
      const cost = x.input.fees.signature(name);
      if (cost === undefined) return 2;
      write(x, api, target, cost);
      return 0;
    },
  };
}

function mint(x: Execution, amount: Cycles): Cycles {
  const { id } = x.input.canister;
  if (id !== CYCLES_MINTING_CANISTER) {
    throw contractViolation(
      "ic0.mint_cycles128 cannot be executed on non Cycles Minting Canister: " +
        `${principalToText(id)} != ${principalToText(CYCLES_MINTING_CANISTER)}`,
    );
  }
  const before = x.effects.cycles;
  x.effects.cycles = addCycles(before, amount);
  return x.effects.cycles - before;
}

function amount128(high: Value | undefined, low: Value | undefined): bigint {
  return (BigInt.asUintN(64, high as bigint) << 64n) | BigInt.asUintN(64, low as bigint);
}

function write(x: Execution, name: string, target: Value | undefined, amount: bigint): undefined {
  x.writeCycles(name, target as Value, amount);
  return undefined;
}
