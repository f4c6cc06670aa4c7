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
  msg_cycles_available128: { modes: INCOMING, cost: 500, run: (x, target) => write(x, target, available(x)) },
  msg_cycles_refunded: { modes: REFUNDED, cost: 500, run: (x) => x.cycles64(x.input.cyclesRefunded) },
  msg_cycles_refunded128: { modes: REFUNDED, cost: 500, run: (x, target) => write(x, target, x.input.cyclesRefunded) },
  msg_cycles_accept: {
    modes: INCOMING,
    cost: 500,
    run: (x, max) => x.acceptCycles(BigInt.asUintN(64, max as bigint)),
  },
  msg_cycles_accept128: {
    modes: INCOMING,
    cost: 500,
    run: (x, high, low, target) => {
      // The bounds are checked before anything is accepted.
      x.range(target as Value, 16);
      return write(x, target, x.acceptCycles(amount128(high, low)));
    },
  },
  cycles_burn128: {
    modes: BURNING,
    cost: 500,
    run: (x, high, low, target) => {
      x.range(target as Value, 16);
      const wanted = amount128(high, low);
      const liquid = x.liquidCycles();
      const burned = wanted < liquid ? wanted : liquid;
      x.effects.cycles -= burned;
      x.effects.cyclesBurned += burned;
      return write(x, target, burned);
    },
  },
  canister_cycle_balance: { modes: EVERY, cost: 500, run: (x) => x.cycles64(x.effects.cycles) },
  canister_cycle_balance128: { modes: EVERY, cost: 500, run: (x, target) => write(x, target, x.effects.cycles) },
  canister_liquid_cycle_balance128: { modes: EVERY, cost: 500, run: (x, target) => write(x, target, x.liquidCycles()) },
  cost_call: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x, nameSize, payloadSize, target) => {
      const cost = x.input.fees.callCost(x.size(nameSize as Value), x.size(payloadSize as Value));
      return write(x, target, cost.request + cost.prepaidResponse + cost.prepaidExecution);
    },
  },
  cost_create_canister: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x, target) => write(x, target, x.input.fees.createCanister()),
  },
  cost_http_request: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x, requestSize, maxResponse, target) =>
      write(
        x,
        target,
        x.input.fees.httpRequest(BigInt.asUintN(64, requestSize as bigint), BigInt.asUintN(64, maxResponse as bigint)),
      ),
  },
  cost_sign_with_ecdsa: signatureCost([0]),
  cost_sign_with_schnorr: signatureCost([0, 1]),
  cost_vetkd_derive_key: signatureCost([0]),
};

/** No key has a longer name. */
const MAX_KEY_NAME_BYTES = 1000;

function signatureCost(curves: readonly number[]): ApiTable[string] {
  return {
    modes: ALL_BUT_START,
    cost: perByte(500, 1),
    run: (x, source, size, curve, target) => {
      const name = x.size(size as Value) > MAX_KEY_NAME_BYTES ? "" : strictText(x.readHeap(source as Value, size as Value));
      if (name === undefined) throw contractViolation("the key name is not valid UTF-8");
      if (!curves.includes(curve as number)) return 1;
      const cost = x.input.fees.signature(name);
      if (cost === undefined) return 2;
      write(x, target, cost);
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

function write(x: Execution, target: Value | undefined, amount: bigint): undefined {
  x.writeCycles(target as Value, amount);
  return undefined;
}
