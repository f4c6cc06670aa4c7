// WebAssembly as the deterministic packages may use it: the synchronous JavaScript interface and nothing else.
// TypeScript ships these types only inside the DOM libraries, and neither `lib: es2024` nor @types/node has them.
// Asynchronous compilation is left out on purpose: a round never waits. Memories and tables with 64-bit addresses
// take and give bigint (WebAssembly JavaScript Interface 2.0, "Memories" and "Tables").
declare namespace WebAssembly {
  type AddressType = "i32" | "i64";
  type ImportExportKind = "function" | "global" | "memory" | "table" | "tag";
  type TableKind = "anyfunc" | "externref";
  type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | TableKind;
  type ImportValue = ((...parameters: never[]) => unknown) | Global | Memory | Table | number | bigint;
  type Imports = Record<string, Record<string, ImportValue>>;
  // biome-ignore lint/suspicious/noExplicitAny: an exported function's signature is known only by its module.
  type ExportValue = ((...parameters: any[]) => any) | Global | Memory | Table;
  type Exports = Readonly<Record<string, ExportValue>>;

  interface ModuleImportDescriptor {
    readonly module: string;
    readonly name: string;
    readonly kind: ImportExportKind;
  }
  interface ModuleExportDescriptor {
    readonly name: string;
    readonly kind: ImportExportKind;
  }

  function validate(bytes: ArrayBufferView | ArrayBufferLike): boolean;

  const opaque: unique symbol;

  class Module {
    constructor(bytes: ArrayBufferView | ArrayBufferLike);
    static customSections(module: Module, name: string): ArrayBuffer[];
    static exports(module: Module): ModuleExportDescriptor[];
    static imports(module: Module): ModuleImportDescriptor[];
    // Without a mark any object would pass for a module.
    readonly [opaque]: true;
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }

  type MemoryDescriptor =
    | { address?: "i32"; initial: number; maximum?: number; shared?: boolean }
    | { address: "i64"; initial: bigint; maximum?: bigint; shared?: boolean };

  /** Sizes are in pages of 64 KiB. `grow` answers the size before and detaches the buffer that was there. */
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer;
    grow(delta: number): number;
    grow(delta: bigint): bigint;
  }

  type TableDescriptor =
    | { element: TableKind; address?: "i32"; initial: number; maximum?: number }
    | { element: TableKind; address: "i64"; initial: bigint; maximum?: bigint };

  class Table {
    constructor(descriptor: TableDescriptor, value?: unknown);
    readonly length: number | bigint;
    // biome-ignore lint/suspicious/noExplicitAny: a table holds functions of any signature, or any reference.
    get(index: number | bigint): any;
    set(index: number | bigint, value?: unknown): void;
    grow(delta: number, value?: unknown): number;
    grow(delta: bigint, value?: unknown): bigint;
  }

  interface ValueTypeMap {
    i32: number;
    i64: bigint;
    f32: number;
    f64: number;
    v128: never;
    anyfunc: unknown;
    externref: unknown;
  }

  class Global<T extends ValueType = ValueType> {
    constructor(descriptor: { value: T; mutable?: boolean }, value?: ValueTypeMap[T]);
    // biome-ignore lint/suspicious/noExplicitAny: `Global` without its type comes out of `Exports`.
    value: ValueType extends T ? any : ValueTypeMap[T];
  }

  class CompileError extends Error {
    readonly name: "CompileError";
  }
  class LinkError extends Error {
    readonly name: "LinkError";
  }
  class RuntimeError extends Error {
    readonly name: "RuntimeError";
  }
}
