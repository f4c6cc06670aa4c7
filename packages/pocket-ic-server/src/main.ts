// The program that bin/pocket-ic starts: the server alone, without the rest of the command line. It is what `build.ts`
// puts into one file.
import { pocketIc } from "./index.ts";

await pocketIc(process.argv.slice(2));
