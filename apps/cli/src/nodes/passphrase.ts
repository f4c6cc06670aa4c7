// The passphrase of a key file: from the environment, from a file, or from the person at the terminal. It is in memory as
// short as can be, and in no environment that this process hands on.
import { isSealed, readPrivateFile } from "@atoll/host-node";
import { EnvironmentError } from "@atoll/types";
import type { PassphraseSource } from "./node-config.ts";

/** Of a key file that is there; undefined: it needs none. */
export async function passphraseOf(keyFile: string, source: PassphraseSource | undefined): Promise<string | undefined> {
  if (!isSealed(keyFile)) return undefined;
  if (source !== undefined) return passphraseFrom(source);
  if (process.stdin.isTTY && process.stderr.isTTY) return prompt(`Passphrase of ${keyFile}: `);
  throw new EnvironmentError(
    "KEYS_SEALED",
    `The key file ${keyFile} is sealed: say in the configuration where its passphrase is ("passphrase"), or start in a terminal.`,
  );
}

export function passphraseFrom(source: PassphraseSource): string {
  if ("file" in source) {
    const passphrase = readPrivateFile(source.file).replace(/\r?\n$/, "");
    return requireText(passphrase, `The passphrase file ${source.file}`);
  }
  const passphrase = process.env[source.env] ?? "";
  delete process.env[source.env];
  return requireText(passphrase, `The environment variable ${source.env}, which should hold the passphrase,`);
}

function requireText(passphrase: string, what: string): string {
  if (passphrase === "") throw new EnvironmentError("NO_PASSPHRASE", `${what} is empty.`);
  return passphrase;
}

/** A new passphrase, said twice. */
export async function newPassphrase(keyFile: string): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new EnvironmentError("NO_PASSPHRASE", "There is no terminal to ask for a passphrase: use --passphrase-file.");
  const passphrase = requireText(await prompt(`New passphrase for ${keyFile}: `), "The passphrase");
  if ((await prompt("Once more: ")) !== passphrase)
    throw new EnvironmentError("NO_PASSPHRASE", "The two passphrases differ; nothing was written.");
  return passphrase;
}

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const ENDS = ["\r", "\n", CTRL_C, CTRL_D];
const BACKSPACES = ["\b", "\u007f"];

/** Shows nothing of what is typed. */
function prompt(question: string): Promise<string> {
  const { stdin, stderr } = process;
  return new Promise((resolve, reject) => {
    let typed = "";
    const settle = (outcome: () => void): void => {
      stdin.off("data", onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
      outcome();
    };
    const onData = (text: string): void => {
      const keys = [...text];
      const end = keys.findIndex((key) => ENDS.includes(key));
      for (const key of end < 0 ? keys : keys.slice(0, end)) {
        typed = BACKSPACES.includes(key) ? typed.slice(0, -1) : typed + key;
      }
      if (end < 0) return;
      if (keys[end] === CTRL_C) settle(() => reject(new EnvironmentError("NO_PASSPHRASE", "No passphrase was given.")));
      else settle(() => resolve(typed));
    };
    stdin.setRawMode(true);
    stdin.resume();
    stdin.setEncoding("utf8").on("data", onData);
    // Only now: what is typed before the terminal is told not to show it would be shown.
    stderr.write(question);
  });
}
