// The fee schedule: what everything costs, in cycles. Figures are those of a 13-node subnet, scaled by the number
// of nodes with one division for each component; execution on system subnets is free. Checklist 5.1; the storage fee,
// on which documentation and replica differ, is a setting of the subnet.
import {
  type CanisterSettings,
  type IdleBurn,
  type InstructionLimits,
  resourcesOf,
  type SubnetConfig,
} from "@atoll/state";
import { type Cycles, MAX_INTER_CANISTER_PAYLOAD_BYTES, subtractCycles } from "@atoll/types";

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
const MAX_RESERVATION_SECONDS = 300_000_000n;
const SECONDS_PER_DAY = 86_400n;
const KEY_NAMES = ["key_1", "test_key_1", "dfx_test_key"];

export class FeeSchedule {
  /** What everything would cost if it were not free: for the figures of what was consumed. */
  readonly nominal: FeeSchedule;
  /** What is paid in advance, and so what may be executed. */
  readonly limits: InstructionLimits;
  readonly #nodes: bigint;
  readonly #gibPerSecond: Cycles;
  readonly #isSystem: boolean;
  readonly #isFree: boolean;

  constructor(config: Pick<SubnetConfig, "feeNodes" | "type" | "costSchedule" | "resources" | "provisional">) {
    this.#nodes = BigInt(config.feeNodes);
    const { gibPerSecond, instructions } = resourcesOf(config);
    this.limits = instructions;
    this.#gibPerSecond = gibPerSecond;
    this.#isSystem = config.type === "system";
    this.#isFree = config.costSchedule === "free";
    this.nominal = this.#isFree ? new FeeSchedule({ ...config, costSchedule: "normal" }) : this;
  }

  execution(instructions: number, is64: boolean): Cycles {
    return this.#scale(FEES_13_NODES.executionBase + instructionFee(instructions, is64));
  }

  /** What comes back for instructions that were paid for and not executed. */
  unusedExecution(instructions: number, is64: boolean): Cycles {
    return this.#scale(instructionFee(instructions, is64));
  }

  /** Work of the management canister that is billed as instructions, without the base fee. */
  managementInstructions(instructions: number): Cycles {
    return this.#scale(instructionFee(instructions, false));
  }

  ingress(bytes: number): Cycles {
    return this.#scale(FEES_13_NODES.ingressFixed) + this.#scale(FEES_13_NODES.ingressByte) * BigInt(bytes);
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
      prepaidExecution: this.execution(this.limits.update, is64),
    };
  }

  responseBytes(bytes: number): Cycles {
    return this.#scale(FEES_13_NODES.callByte * BigInt(bytes));
  }

  httpRequest(requestBytes: bigint, maxResponseBytes: bigint): Cycles {
    if (this.#isFree || this.#isSystem) return 0n;
    return (3_000_000n + 60_000n * this.#nodes + 400n * requestBytes + 800n * maxResponseBytes) * this.#nodes;
  }

  /** What an outcall costs by what it really did. */
  httpRequestV2(parts: HttpRequestParts): Cycles {
    if (this.#isFree || this.#isSystem) return 0n;
    const n = this.#nodes;
    const outcall = 1_000_000n + 140_000n * n + 800n * n * n + 50n * parts.request_bytes;
    const answer = 50n * parts.raw_response_bytes + 300n * parts.http_roundtrip_time_ms;
    const transformed = parts.transform_instructions / 13n + (10n * n + 650n) * parts.transformed_response_bytes;
    return (outcall + answer + transformed) * n;
  }

  /** Signing is charged on system subnets too. */
  signature(keyName: string): Cycles | undefined {
    if (!KEY_NAMES.includes(keyName)) return undefined;
    return this.#isFree ? 0n : (FEES_13_NODES.signature * this.#nodes) / 13n;
  }

  storage(bytes: bigint, seconds: bigint): Cycles {
    return this.#scale((bytes * this.#gibPerSecond * seconds) / GIB);
  }

  /**
   * Cycles to be reserved for `bytes` more on a subnet with `used` in use: the fuller it is above its threshold, the
   * longer the time for which storage is paid for in advance.
   */
  storageReservation(used: number, bytes: number, threshold: number, capacity: number): Cycles {
    return this.#reserved(used + bytes, threshold, capacity) - this.#reserved(used, threshold, capacity);
  }

  #reserved(used: number, threshold: number, capacity: number): Cycles {
    const room = BigInt(Math.max(0, capacity - threshold));
    const above = BigInt(Math.max(0, Math.min(used, capacity) - threshold));
    if (room === 0n) return 0n;
    return this.storage(above, (MAX_RESERVATION_SECONDS * above) / room / 2n);
  }

  /** What a canister costs in a day in which nothing happens. */
  idleBurn(
    memoryBytes: number,
    { memoryAllocation, computeAllocation }: Pick<CanisterSettings, "memoryAllocation" | "computeAllocation">,
    messageBytes: number,
  ): IdleBurn {
    const used = BigInt(memoryBytes);
    return {
      memory: this.storage(used > memoryAllocation ? used : memoryAllocation, SECONDS_PER_DAY),
      messageMemory: this.storage(BigInt(messageBytes), SECONDS_PER_DAY),
      compute: this.#scale(FEES_13_NODES.computePercentPerSecond * SECONDS_PER_DAY * BigInt(computeAllocation)),
    };
  }

  idleBurnPerDay(
    memoryBytes: number,
    settings: Pick<CanisterSettings, "memoryAllocation" | "computeAllocation">,
    messageBytes: number,
  ): Cycles {
    const { memory, messageMemory, compute } = this.idleBurn(memoryBytes, settings, messageBytes);
    return memory + messageMemory + compute;
  }

  /** Balance below which a canister with this much memory in use is frozen. */
  freezingThreshold(
    { settings, reservedCycles }: { readonly settings: CanisterSettings; readonly reservedCycles: Cycles },
    memoryBytes: number,
    messageBytes: number,
  ): Cycles {
    const perDay = this.idleBurnPerDay(memoryBytes, settings, messageBytes);
    return subtractCycles((perDay * settings.freezingThreshold) / SECONDS_PER_DAY, reservedCycles);
  }

  #scale(cost13: Cycles): Cycles {
    return this.#isFree || this.#isSystem ? 0n : (cost13 * this.#nodes) / 13n;
  }
}

function instructionFee(instructions: number, is64: boolean): Cycles {
  return (is64 ? FEES_13_NODES.instruction64 : FEES_13_NODES.instruction32) * BigInt(instructions);
}
