// npm as a process, for other people's programs that are no dependencies of the project: in a folder of their own,
// never with their install scripts.
import { execFile } from "node:child_process";

/** Rejects with what npm said. */
export function npm(args: readonly string[], folder: string): Promise<void> {
  // Inside `npm test` npm says where it is; on Windows the command on the path is a script that only a shell runs.
  const own = process.env.npm_execpath;
  const [command, first] = own?.endsWith(".js") ? [process.execPath, [own]] : ["npm", []];
  const quiet = ["--no-audit", "--no-fund", "--loglevel", "error"];
  const options = { cwd: folder, timeout: 300_000, shell: command === "npm" && process.platform === "win32" };
  return new Promise((resolve, reject) => {
    execFile(command, [...first, ...args, ...quiet], options, (error, stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`npm ${args.join(" ")} failed: ${(stderr || stdout || error.message).trim()}`));
    });
  });
}
