// The names behind the hashes of a Candid message: those in the interfaces that a test gave, and those in the
// `candid:service` metadata of the modules that are installed. Every word of such a text may be a name, so its words
// are hashed and the text is not parsed. Candid specification, "Field ids".
import * as management from "@atoll/execution/management/candid-types";
import * as outcalls from "@atoll/execution/management/outcall-candid";
import * as snapshots from "@atoll/execution/management/snapshot-candid";
import type { SubnetState } from "@atoll/state";
import { type IDL, idlLabelToId } from "@icp-sdk/core/candid";
import type { CandidInterface } from "./candid-interface.ts";

/** Of one text; more than any interface has. */
const MAX_TEXT = 256 * 1024;

const decoder = new TextDecoder();

export class FieldNames {
  readonly #names = new Map<number, string>();
  readonly #interfaces = new Set<CandidInterface>();
  readonly #modules = new Set<string>();
  #hasManagement = false;

  get(hash: number): string | undefined {
    return this.#names.get(hash);
  }

  /** Those of the management canister. */
  addManagement(): void {
    if (this.#hasManagement) return;
    this.#hasManagement = true;
    for (const types of [management, outcalls, snapshots]) for (const type of Object.values(types)) this.#addType(type);
  }

  addInterface(candid: CandidInterface): void {
    if (this.#interfaces.has(candid)) return;
    this.#interfaces.add(candid);
    for (const { takes, gives } of candid.methods) for (const type of [...takes, ...gives]) this.#addType(type);
  }

  addModules({ modules }: Pick<SubnetState, "modules">): void {
    for (const { hash, summary } of modules.all()) {
      if (this.#modules.has(hash)) continue;
      this.#modules.add(hash);
      const section = summary.metadata.find(({ name }) => name === "candid:service");
      if (section !== undefined) this.#addWords(decoder.decode(section.content.subarray(0, MAX_TEXT)));
    }
  }

  #addType(type: IDL.Type): void {
    this.#addWords(type.display());
  }

  #addWords(text: string): void {
    for (const [word] of text.matchAll(/[A-Za-z_]\w*|(?<=")[^"\\\n]{1,100}(?=")/g)) {
      this.#names.set(idlLabelToId(word), word);
    }
  }
}
