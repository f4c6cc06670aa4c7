// The methods of a canister as its Candid factory names them: values in and bytes out, bytes in and values out. The
// factory is what `didc bind`, `dfx generate` and `icp-bindgen` write; it is given @icp-sdk/core's IDL. The values are
// those of @icp-sdk/core's actors.
import { IDL } from "@icp-sdk/core/candid";

/** Without a type of its own a canister takes any method and gives unknown values. */
export type AnyService = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

export type MethodName<Service> = keyof Service & string;
export type MethodArguments<Method> = Method extends (...args: infer Arguments) => unknown ? Arguments : never;
export type MethodResult<Method> = Method extends (...args: never[]) => Promise<infer Result> ? Result : never;

/** The methods of a canister: each encodes its arguments, calls, and decodes the answer. */
export type TestActor<Service> = {
  readonly [Method in MethodName<Service>]: (
    ...args: MethodArguments<Service[Method]>
  ) => Promise<MethodResult<Service[Method]>>;
};

export interface CandidMethod {
  readonly name: string;
  readonly isQuery: boolean;
  readonly takes: readonly IDL.Type[];
  readonly gives: readonly IDL.Type[];
}

export class CandidInterface {
  readonly factory: IDL.InterfaceFactory;
  readonly #methods: ReadonlyMap<string, CandidMethod>;

  constructor(factory: IDL.InterfaceFactory) {
    this.factory = factory;
    const service = factory({ IDL });
    this.#methods = new Map(service._fields.map(([name, func]) => [name, methodOf(name, func)]));
  }

  get methods(): Iterable<CandidMethod> {
    return this.#methods.values();
  }

  has(name: string): boolean {
    return this.#methods.has(name);
  }

  /** Throws TypeError when there is no such method. */
  method(name: string): CandidMethod {
    const method = this.#methods.get(name);
    if (method !== undefined) return method;
    const names = [...this.#methods.keys()].join(", ");
    throw new TypeError(`the Candid interface has no method "${name}"; it has: ${names || "none"}`);
  }
}

/** Throws TypeError, with the method's name, for arguments that are not of its types. */
export function encodeArguments({ name, takes }: CandidMethod, args: readonly unknown[]): Uint8Array {
  if (args.length !== takes.length)
    throw new TypeError(`${name} takes ${takes.length} arguments, ${args.length} are given`);
  try {
    return IDL.encode([...takes], [...args]);
  } catch (error) {
    throw new TypeError(`the arguments of ${name} cannot be encoded: ${(error as Error).message}`, { cause: error });
  }
}

/** No value, the one value, or all of several, as an agent's actor gives them. Throws TypeError for other bytes. */
export function decodeReply({ name, gives }: CandidMethod, reply: Uint8Array): unknown {
  let values: unknown[];
  try {
    values = IDL.decode([...gives], reply);
  } catch (error) {
    throw new TypeError(
      `the reply of ${name} is not of the type in the Candid interface: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  return values.length > 1 ? values : values[0];
}

/** An actor whose methods go through `call`. */
export function makeActor<Service>(
  candid: CandidInterface,
  call: (method: CandidMethod, args: readonly unknown[]) => Promise<unknown>,
): TestActor<Service> {
  const methods = [...candid.methods].map((method) => {
    return [method.name, (...args: unknown[]) => call(method, args)] as const;
  });
  return Object.freeze(Object.fromEntries(methods)) as unknown as TestActor<Service>;
}

function methodOf(name: string, { argTypes, retTypes, annotations }: IDL.FuncClass): CandidMethod {
  const isQuery = annotations.includes("query") || annotations.includes("composite_query");
  return { name, isQuery, takes: argTypes, gives: retTypes };
}
