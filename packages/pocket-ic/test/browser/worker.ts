// The scenario in a browser's Worker: modules come in as a message, what it saw goes back as one.
import { browserPorts } from "../../src/worker/browser-ports.ts";
import { type Modules, scenario } from "./scenario.ts";

interface WorkerScope {
  postMessage(message: { readonly seen: string[] } | { readonly error: string }): void;
  addEventListener(type: "message", listener: (event: { readonly data: Modules }) => void): void;
}

const scope = globalThis as unknown as WorkerScope;
scope.addEventListener("message", ({ data }) => {
  scenario(browserPorts({ log: () => undefined }), data).then(
    (seen) => scope.postMessage({ seen }),
    (error: unknown) => scope.postMessage({ error: String((error as Error)?.stack) }),
  );
});
