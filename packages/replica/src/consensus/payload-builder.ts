// Builds what a block carries, and checks what the blocks of others carry. Three sections share the room of a block; another
// one is first at each height, and each has what the ones before it left. What is built is checked like anybody else's,
// and a section that fails is left out: nobody would notarize it. Sections 6.2.7, 6.2.8 and 8.
import type { BlockContext, PastPayload, PayloadPort } from "@atoll/consensus";
import {
  type CryptoPort,
  type Height,
  type LogPort,
  MAX_INGRESS_BYTES_SYSTEM,
  MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK,
  type NetworkTopology,
  type PrincipalId,
  type RegistryPort,
} from "@atoll/types";
import type { CertifiedFacts } from "./executed-facts.ts";
import type { IngressAuthenticator } from "./ingress-authenticator.ts";
import { buildIngress, validateIngress } from "./ingress-section.ts";
import { buildOutcalls, validateOutcalls } from "./outcall-section.ts";
import type { OutcallShares } from "./outcall-shares.ts";
import type { PastPayloads } from "./past-payloads.ts";
import { type BatchPayload, EMPTY_PAYLOAD, encodePayload } from "./payload-codec.ts";
import { later, type PayloadContext, type SectionVerdict, VALID } from "./payload-section.ts";
import type { SharedIngressPool } from "./shared-ingress-pool.ts";
import type { SlicePool } from "./slice-pool.ts";
import { buildSlices, validateSlices } from "./slice-section.ts";

export interface PayloadBuilderParts {
  readonly own: PrincipalId;
  readonly facts: CertifiedFacts;
  readonly registry: RegistryPort;
  readonly topology: NetworkTopology | undefined;
  readonly authenticator: IngressAuthenticator;
  readonly past: PastPayloads;
  readonly ingress: SharedIngressPool;
  readonly slices: SlicePool;
  readonly outcalls: OutcallShares;
  readonly crypto: CryptoPort;
  readonly log: LogPort;
}

/** What the largest thing of a section takes with what is around it: a block that could not carry it never would. */
const MIN_PAYLOAD_BYTES = Math.max(MAX_INGRESS_BYTES_SYSTEM, MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK) + 256 * 1024;
/** The numbers of items in all sections. */
const HEAD_BYTES = 32;

type SectionName = "ingress" | "slices" | "outcalls";
const SECTIONS: readonly SectionName[] = ["ingress", "slices", "outcalls"];

export class PayloadBuilder implements PayloadPort {
  readonly #parts: PayloadBuilderParts;

  constructor(parts: PayloadBuilderParts) {
    this.#parts = parts;
  }

  build(height: Height, context: BlockContext, past: readonly PastPayload[], maxBytes: number): Uint8Array {
    const payloadContext = this.#contextOf(height, context, past);
    if (payloadContext === undefined) return new Uint8Array();
    const room = Math.max(maxBytes, MIN_PAYLOAD_BYTES) - HEAD_BYTES;
    let payload = EMPTY_PAYLOAD;
    let used = 0;
    for (const section of sectionsInTurn(height)) {
      const built = this.#build(section, payloadContext, room - used);
      const verdict = this.#validate(section, payloadContext, { ...EMPTY_PAYLOAD, ...built });
      if (verdict.kind !== "valid") {
        const what = `What this node built for block ${height} would not pass its own check and is left out`;
        this.#parts.log.log("error", what, { section, verdict: verdict.kind, why: verdict.why });
        continue;
      }
      payload = { ...payload, ...built };
      used += encodePayload({ ...EMPTY_PAYLOAD, ...built }).length;
    }
    return this.#fit(payload, room + HEAD_BYTES);
  }

  validate(
    height: Height,
    batch: Uint8Array,
    context: BlockContext,
    past: readonly PastPayload[],
    proposer: PrincipalId,
  ): "valid" | "invalid" | "later" {
    if (batch.length === 0) return "valid";
    const verdict = this.#certain(height, context, this.#check(height, batch, context, past));
    if (verdict.kind === "invalid") {
      this.#parts.log.log("warning", "A block with a payload that breaks the rules was refused", {
        height,
        proposer,
        why: verdict.why,
      });
    }
    return verdict.kind;
  }

  #check(height: Height, batch: Uint8Array, context: BlockContext, past: readonly PastPayload[]): SectionVerdict {
    const payloadContext = this.#contextOf(height, context, past);
    if (payloadContext === undefined) return later("the state or the registry has not got that far here");
    const limit = Math.max(payloadContext.registry.settings.maxBlockPayload, MIN_PAYLOAD_BYTES);
    if (batch.length > 2 * limit) return { kind: "invalid", why: `it has ${batch.length} bytes` };
    if (batch.length > limit) {
      this.#parts.log.log("warning", "A payload is larger than it should be", { height, bytes: batch.length });
    }
    const payload = this.#parts.past.decode(batch);
    if (payload === undefined) return { kind: "invalid", why: "it cannot be decoded" };
    let pending: SectionVerdict = VALID;
    for (const section of SECTIONS) {
      const verdict = this.#validate(section, payloadContext, payload);
      if (verdict.kind === "invalid") return verdict;
      if (verdict.kind === "later") pending = verdict;
    }
    return pending;
  }

  /** After a start, and for a block that it has executed already, a node cannot say of others that they are wrong. */
  #certain(height: Height, { certifiedHeight }: BlockContext, verdict: SectionVerdict): SectionVerdict {
    const { facts } = this.#parts;
    const isExact = certifiedHeight >= facts.since && facts.height < height;
    return verdict.kind === "invalid" && !isExact ? later(verdict.why) : verdict;
  }

  #contextOf(height: Height, block: BlockContext, past: readonly PastPayload[]): PayloadContext | undefined {
    const { facts, topology, registry: versions, past: contents } = this.#parts;
    const registry = versions.record(block.registryVersion);
    if (registry === undefined || facts.height < block.certifiedHeight) return undefined;
    // What was executed up to the state that was loaded is in that state, whatever height the block names.
    const certifiedHeight = Math.max(block.certifiedHeight, facts.since);
    const since = past.filter((payload) => payload.height > certifiedHeight);
    const context = { ...block, certifiedHeight };
    return { height, context, registry, past: contents.content(since), facts, topology };
  }

  #build(section: SectionName, context: PayloadContext, room: number): Partial<BatchPayload> {
    const { ingress, authenticator, slices, outcalls } = this.#parts;
    switch (section) {
      case "ingress":
        return { ingress: buildIngress(context, ingress, authenticator, room) };
      case "slices":
        return { slices: buildSlices(context, slices, room, this.#parts) };
      case "outcalls":
        return buildOutcalls(context, outcalls, room);
    }
  }

  #validate(section: SectionName, context: PayloadContext, payload: BatchPayload): SectionVerdict {
    const { authenticator, outcalls, crypto } = this.#parts;
    switch (section) {
      case "ingress":
        return validateIngress(context, authenticator, payload.ingress);
      case "slices":
        return validateSlices(context, payload.slices, this.#parts.slices, this.#parts);
      case "outcalls":
        return validateOutcalls(context, payload, outcalls, crypto.sha256);
    }
  }

  /** The serialized form is what counts: the last messages go while it is too large. */
  #fit(payload: BatchPayload, limit: number): Uint8Array {
    let fitting = payload;
    for (;;) {
      const encoded = encodePayload(fitting);
      if (encoded.length <= limit || fitting.ingress.length === 0) return encoded;
      fitting = { ...fitting, ingress: fitting.ingress.slice(0, -1) };
    }
  }
}

function sectionsInTurn(height: Height): SectionName[] {
  const first = height % SECTIONS.length;
  return [...SECTIONS.slice(first), ...SECTIONS.slice(0, first)];
}
