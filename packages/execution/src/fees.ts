// The fee schedule: what everything costs, in cycles. Figures are those of a 13-node subnet, scaled by the number
// of nodes; execution on system subnets is free. Checklist 5.1; the storage fee differs between the public
// documentation (127,000) and the replica (317,500), so it is a named setting.
import type { CanisterSettings, SubnetConfig } from "@atoll/state";
import {
  type Cycles,
  MAX_INSTRUCTIONS_PER_UPDATE,
  MAX_INTER_CANISTER_PAYLOAD_BYTES,
  subtractCycles,
} from "@atoll/types";

export const FEES_13_NODES = {
  canisterCreation: 500_000_000_000n,
  computePercentPerSecond: 10_000_000n,
  executionBase: 5_000_000n,
  instruction32: 1n,
  instruction64: 2n,
  callFixed: 260_000n,
  callByte: 1_000n,
  ingressFixed: 1_200_000n,
  ingressByte: 2_000n,
  gibPerSecond: 127_000n,
  signature: 10_000_000_000n,
} as const;

/** Field names are those of the Candid record in which a canister asks for the price. */
export interface HttpRequestParts {
  readonly request_bytes: bigint;
  readonly http_roundtrip_time_ms: bigint;
  readonly raw_response_bytes: bigint;
  readonly transformed_response_bytes: bigint;
  readonly transform_instructions: bigint;
}

const GIB = 1024n ** 3n;
const SECONDS_PER_DAY = 86_400n;
const KEY_NAMES = ["key_1", "test_key_1", "dfx_test_key"];

export class FeeSchedule {
  readonly #nodes: bigint;
  readonly #free: boolean;

  constructor(config: Pick<SubnetConfig, "feeNodes" | "type">) {
    this.#nodes = BigInt(config.feeNodes);
    this.#free = config.type === "system";
  }

  execution(instructions: number, is64: boolean): Cycles {
    const rate = is64 ? FEES_13_NODES.instruction64 : FEES_13_NODES.instruction32;
    return this.#scale(FEES_13_NODES.executionBase) + this.#scale(rate * BigInt(instructions));
  }

  /** Work of the management canister that is billed as instructions, without the base fee. */
  managementInstructions(instructions: number): Cycles {
    return this.#scale(FEES_13_NODES.instruction32 * BigInt(instructions));
  }

  ingress(bytes: number): Cycles {
    return this.#scale(FEES_13_NODES.ingressFixed) + this.#scale(FEES_13_NODES.ingressByte * BigInt(bytes));
  }

  canisterCreation(): Cycles {
    return this.#scale(FEES_13_NODES.canisterCreation);
  }

  /** Transport of a request, of the largest response, and the instructions of the callback: all prepaid. */
  call(
    methodNameBytes: number,
    payloadBytes: number,
    is64: boolean,
  ): { request: Cycles; prepaidResponse: Cycles; prepaidExecution: Cycles } {
    return {
      request:
        this.#scale(FEES_13_NODES.callFixed) +
        this.#scale(FEES_13_NODES.callByte * BigInt(methodNameBytes + payloadBytes)),
      prepaidResponse: this.responseBytes(MAX_INTER_CANISTER_PAYLOAD_BYTES),
      prepaidExecution: this.execution(MAX_INSTRUCTIONS_PER_UPDATE, is64),
    };
  }

  responseBytes(bytes: number): Cycles {
    return this.#scale(FEES_13_NODES.callByte * BigInt(bytes));
  }

  httpRequest(requestBytes: bigint, maxResponseBytes: bigint): Cycles {
    if (this.#free) return 0n;
    return (3_000_000n + 60_000n * this.#nodes + 400n * requestBytes + 800n * maxResponseBytes) * this.#nodes;
  }

  /** What an outcall costs by what it really did. */
  httpRequestV2(parts: HttpRequestParts): Cycles {
    if (this.#free) return 0n;
    const n = this.#nodes;
    const outcall = 1_000_000n + 140_000n * n + 800n * n * n + 50n * parts.request_bytes;
    const answer = 50n * parts.raw_response_bytes + 300n * parts.http_roundtrip_time_ms;
    const transformed = parts.transform_instructions / 13n + (10n * n + 650n) * parts.transformed_response_bytes;
    return (outcall + answer + transformed) * n;
  }

  /** Signing is charged on system subnets too. */
  signature(keyName: string): Cycles | undefined {
    return KEY_NAMES.includes(keyName) ? (FEES_13_NODES.signature * this.#nodes) / 13n : undefined;
  }

  idleBurnPerDay(memoryBytes: number, memoryAllocation: bigint, computeAllocation: number): Cycles {
    const used = BigInt(memoryBytes);
    const bytes = used > memoryAllocation ? used : memoryAllocation;
    const storage = (this.#scale(FEES_13_NODES.gibPerSecond) * bytes * SECONDS_PER_DAY) / GIB;
    const compute = this.#scale(FEES_13_NODES.computePercentPerSecond) * BigInt(computeAllocation) * SECONDS_PER_DAY;
    return storage + compute;
  }

  /** Balance below which a canister that uses `memoryBytes` is frozen. */
  freezingThreshold(
    canister: { readonly settings: CanisterSettings; readonly reservedCycles: Cycles },
    memoryBytes: number,
  ): Cycles {
    const { memoryAllocation, computeAllocation, freezingThreshold } = canister.settings;
    const perDay = this.idleBurnPerDay(memoryBytes, memoryAllocation, computeAllocation);
    return subtractCycles((perDay * freezingThreshold) / SECONDS_PER_DAY, canister.reservedCycles);
  }

  #scale(cost13: Cycles): Cycles {
    return this.#free ? 0n : (cost13 * this.#nodes) / 13n;
  }
}
