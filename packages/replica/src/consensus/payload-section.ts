// What the sections of a payload are built and checked against, and the answer of a check. Building and checking use the
// same functions with the same arguments, so that what an honest node builds no honest node refuses. Sections 6.2 and 8.
import type { BlockContext } from "@atoll/consensus";
import type { Height, NetworkTopology, RegistryRecord } from "@atoll/types";
import type { CertifiedFacts } from "./executed-facts.ts";
import type { PastContent } from "./past-payloads.ts";

/** A block to be made or checked. */
export interface PayloadContext {
  readonly height: Height;
  readonly context: BlockContext;
  /** Of `context.registryVersion`. */
  readonly registry: RegistryRecord;
  readonly past: PastContent;
  readonly facts: CertifiedFacts;
  /** The subnets of the network; undefined: there is this one alone. */
  readonly topology: NetworkTopology | undefined;
}

/** "later": something that is needed to tell is not here yet. */
export type SectionVerdict = { readonly kind: "valid" } | { readonly kind: "later" | "invalid"; readonly why: string };

export const VALID: SectionVerdict = { kind: "valid" };

export function invalid(why: string): SectionVerdict {
  return { kind: "invalid", why };
}

export function later(why: string): SectionVerdict {
  return { kind: "later", why };
}
