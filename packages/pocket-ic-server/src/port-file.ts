// The file through which a server and its clients find each other. It is made exclusively: whoever makes it is the
// server, the next one to come finds it and ends without a word. Empty while the server starts, it holds the port and a
// line end when requests are served. A stale one would give clients a dead port, so it goes on every way out.
import fs from "node:fs";
import { EnvironmentError } from "@atoll/types/errors";

export interface PortFile {
  /** Tells whoever waits for it. */
  announce(port: number): void;
  /** Removes it, if it is still ours. */
  remove(): void;
}

/** Undefined: another server owns it. Throws EnvironmentError when it cannot be made. */
export function takePortFile(path: string): PortFile | undefined {
  let identity: string;
  try {
    const descriptor = fs.openSync(path, "wx", 0o644);
    identity = identityOf(fs.fstatSync(descriptor));
    fs.closeSync(descriptor);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return undefined;
    throw new EnvironmentError(code ?? "EIO", `The port file ${path} cannot be made: ${message}.`, { cause: error });
  }
  let content = "";
  return {
    announce(port) {
      content = `${port}\n`;
      fs.writeFileSync(path, content);
    },
    remove() {
      try {
        // Somebody may have removed it and another server made its own since: maybe in the same place on the disk, but
        // not with the same port.
        const isOurs = identityOf(fs.statSync(path)) === identity && fs.readFileSync(path, "utf8") === content;
        if (isOurs) fs.unlinkSync(path);
      } catch {}
    },
  };
}

function identityOf({ dev, ino }: fs.Stats): string {
  return `${dev} ${ino}`;
}
