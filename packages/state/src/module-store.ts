// The Wasm modules installed on a subnet, once each however many canisters run them or snapshots hold them, by the hash of the uploaded
// bytes. The prepared (rewritten) form lies beside the original: it is made once, at install time, and kept on
// disk, because neither a restart nor a query thread should have to rewrite anything.

/** What the state needs to know of a module without looking into its bytes. */
export interface ModuleSummary {
  readonly hasHeartbeat: boolean;
  /** `icp:` custom sections. */
  readonly metadata: readonly { readonly name: string; readonly isPublic: boolean; readonly content: Uint8Array }[];
}

export interface StoredModule {
  readonly hash: string;
  /** As uploaded: possibly gzipped. */
  readonly uploaded: Uint8Array;
  /** The rewritten module. */
  readonly prepared: Uint8Array;
  /** What the embedder knows of the module: plain data, opaque to the state. */
  readonly description: unknown;
  readonly summary: ModuleSummary;
}

export class ModuleStore {
  readonly #modules = new Map<string, { module: StoredModule; users: Set<string> }>();
  #changed = new Set<string>();
  #changedForReaders = new Set<string>();

  /** Modules themselves never change: both stores have the same. */
  fork(): ModuleStore {
    const copy = new ModuleStore();
    for (const [hash, { module, users }] of this.#modules) copy.#modules.set(hash, { module, users: new Set(users) });
    copy.#changed = new Set(this.#changed);
    copy.#changedForReaders = new Set(this.#changedForReaders);
    return copy;
  }

  get(hash: string): StoredModule | undefined {
    return this.#modules.get(hash)?.module;
  }

  info(hash: string): ModuleSummary | undefined {
    return this.get(hash)?.summary;
  }

  /** `user`, a canister or a snapshot by its id, needs `module` from now on. */
  use(module: StoredModule, user: string): void {
    const entry = this.#modules.get(module.hash);
    if (entry !== undefined) {
      entry.users.add(user);
      return;
    }
    this.#modules.set(module.hash, { module, users: new Set([user]) });
    this.#noteChange(module.hash);
  }

  /** All modules, in the order in which they came. */
  *all(): Generator<StoredModule> {
    for (const { module } of this.#modules.values()) yield module;
  }

  /** Puts another prepared form in the place of the one with the same hash. */
  replacePrepared(module: StoredModule): void {
    const entry = this.#modules.get(module.hash);
    if (entry === undefined) return;
    entry.module = module;
    this.#noteChange(module.hash);
  }

  /** `user` needs the module no longer; the last one to leave removes it. */
  leave(hash: string, user: string): void {
    const entry = this.#modules.get(hash);
    if (entry === undefined) return;
    entry.users.delete(user);
    if (entry.users.size > 0) return;
    this.#modules.delete(hash);
    this.#noteChange(hash);
  }

  /** Hashes of modules that came or went since the last round that readers heard of. */
  takeReaderChanges(): string[] {
    const changed = [...this.#changedForReaders].sort();
    this.#changedForReaders = new Set();
    return changed;
  }

  /** Hashes of modules that came or went since the last checkpoint. */
  takeChanges(): string[] {
    const changed = [...this.#changed].sort();
    this.#changed = new Set();
    return changed;
  }

  #noteChange(hash: string): void {
    this.#changed.add(hash);
    this.#changedForReaders.add(hash);
  }
}
