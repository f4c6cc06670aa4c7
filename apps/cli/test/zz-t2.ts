import { startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, fastBlsVerify, recorderWasm } from "./recorder.ts";
import { createLoad } from "./load.ts";
const wasm = await recorderWasm(); 
const blsVerify = await fastBlsVerify();
let t=performance.now();
const n = await startNetwork({ stateDir: temporaryFolder() });
console.log("start", performance.now()-t);
const agent = agentOf(n);
const a = await deploy(agent, wasm); const b = await deploy(agent, wasm);
const load = createLoad({ users: 12, near: a, far: b, blsVerify });
const r = load.run(n);
for (let i=0;i<20;i++) { await new Promise(r=>setTimeout(r,100)); console.log(load.answeredCount); }
t=performance.now();
await r.stop();
await load.check(n);
console.log("check",performance.now()-t);
console.log(await n.kill("SIGTERM"));
