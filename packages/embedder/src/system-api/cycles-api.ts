// System calls about cycles: what came in, what is there, what things cost. Checklist 3.3, 5.
// Amounts are u128; the 64-bit forms exist in 32-bit modules only and trap when a value does not fit.

import type { Execution, Value } from "../execution.ts";
import { contractViolation } from "../execution-error.ts";
import { ALL_BUT_START, EVERY, Mode } from "../modes.ts";
import { type ApiTable, perByte, strictText } from "./api-function.ts";

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

export const cyclesApi: ApiTable = {
  msg_cycles_available: { modes: INCOMING, cost: 500, run: (x) => x.cycles64(available(x)) },
  msg_cycles_available128: {
    modes: INCOMING,
    cost: 500,
    run: (x, target) => write(x, "msg_cycles_available128", target, available(x)),
  },
  msg_cycles_refunded: { modes: REFUNDED, cost: 500, run: (x) => x.cycles64(x.input.cyclesRefunded) },
  msg_cycles_refunded128: {
    modes: REFUNDED,
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
    cost: 500,
    run: (x, high, low, target) => {
      return write(x, "msg_cycles_accept128", target, x.acceptCycles(amount128(high, low)));
    },
  },
  cycles_burn128: {
    modes: BURNING,
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
    cost: 500,
    run: (x, target) => write(x, "canister_cycle_balance128", target, x.effects.cycles),
  },
  canister_liquid_cycle_balance128: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x, target) => write(x, "canister_liquid_cycle_balance128", target, x.liquidCycles()),
  },
  cost_call: {
    modes: EVERY,
    cost: 500,
    run: (x, nameSize, payloadSize, target) => {
      const cost = x.input.fees.callCost(x.size(nameSize as Value), x.size(payloadSize as Value));
      return write(x, "cost_call", target, cost.request + cost.prepaidResponse + cost.prepaidExecution);
    },
  },
  cost_create_canister: {
    modes: EVERY,
    cost: 500,
    run: (x, target) => write(x, "cost_create_canister", target, x.input.fees.createCanister()),
  },
  cost_http_request: {
    modes: EVERY,
    cost: 500,
    run: (x, requestSize, maxResponse, target) =>
      write(
        x,
        "cost_http_request",
        target,
        x.input.fees.httpRequest(BigInt.asUintN(64, requestSize as bigint), BigInt.asUintN(64, maxResponse as bigint)),
      ),
  },
  cost_sign_with_ecdsa: signatureCost("cost_sign_with_ecdsa", [0]),
  cost_sign_with_schnorr: signatureCost("cost_sign_with_schnorr", [0, 1]),
  cost_vetkd_derive_key: signatureCost("cost_vetkd_derive_key", [0]),
};

/** No key has a longer name. */
const MAX_KEY_NAME_BYTES = 1000;

function signatureCost(api: string, curves: readonly number[]): ApiTable[string] {
  return {
    modes: EVERY,
    cost: perByte(500, 1),
    run: (x, source, size, curve, target) => {
      const name =
        x.size(size as Value) > MAX_KEY_NAME_BYTES
          ? ""
          : strictText(x.readHeap(`ic0.${api} heap`, source as Value, size as Value));
      if (name === undefined) throw contractViolation("Failed to decode key name");
      if (!curves.includes(curve as number)) return 1;
      const cost = x.input.fees.signature(name);
      if (cost === undefined) return 2;
      write(x, api, target, cost);
      return 0;
    },
  };
}

function available(x: Execution): bigint {
  return x.input.responded || x.effects.answer !== undefined ? 0n : x.available;
}

function amount128(high: Value | undefined, low: Value | undefined): bigint {
  return (BigInt.asUintN(64, high as bigint) << 64n) | BigInt.asUintN(64, low as bigint);
}

function write(x: Execution, name: string, target: Value | undefined, amount: bigint): undefined {
  x.writeCycles(name, target as Value, amount);
  return undefined;
}
