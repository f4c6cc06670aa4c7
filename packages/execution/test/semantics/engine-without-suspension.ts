// Takes from the engine what it suspends Wasm stacks with, as in a browser or a Node that never had it. To be imported
// before everything else.
const engine = WebAssembly as unknown as { Suspending?: unknown; promising?: unknown };
const { Suspending, promising } = engine;

export function takeSuspension(): void {
  delete engine.Suspending;
  delete engine.promising;
}

export function giveSuspension(): void {
  Object.assign(engine, { Suspending, promising });
}

takeSuspension();
