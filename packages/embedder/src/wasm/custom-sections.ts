// The custom sections that become canister metadata: `icp:public <name>` and `icp:private <name>`. Interface
// specification, "Canister module format"; limits: 16 sections, 1 MiB of names and contents.
import type { CustomSectionInfo } from "./module-info.ts";
import type { ParsedModule } from "./parse.ts";
import { type Refusal, refusal } from "./refusal.ts";

const MAX_SECTIONS = 16;
const MAX_BYTES = 1024 * 1024;

/** The metadata sections in module order. Other custom sections do not matter. */
export function customSections(module: ParsedModule): CustomSectionInfo[] | Refusal {
  const invalid = (reason: string) => refusal(`Wasm module has an invalid custom section. ${reason}`);
  const found = new Map<string, CustomSectionInfo>();
  let bytes = 0;
  for (const custom of module.customs) {
    if (!custom.name.startsWith("icp:")) continue;
    const parts = splitName(custom.name);
    if (typeof parts === "string") return invalid(parts);
    const { name, visibility } = parts;
    if (found.has(name)) {
      return invalid(`Invalid custom section: name ${name} already exists`);
    }
    bytes += custom.end - custom.start + new TextEncoder().encode(name).length;
    if (bytes > MAX_BYTES) {
      return invalid(
        `Invalid custom sections: total size of the custom sections exceeds the maximum allowed: size ${bytes} bytes, allowed ${MAX_BYTES} bytes`,
      );
    }
    found.set(name, { name, visibility, content: module.bytes.subarray(custom.start, custom.end) });
    if (found.size > MAX_SECTIONS) {
      return refusal(
        `Wasm module defined ${found.size} custom sections which exceeds the maximum number allowed ${MAX_SECTIONS}.`,
      );
    }
  }
  return [...found.values()];
}

function splitName(section: string): { name: string; visibility: "public" | "private" } | string {
  for (const visibility of ["public", "private"] as const) {
    const prefix = `icp:${visibility} `;
    if (section.startsWith(prefix)) return { name: section.slice(prefix.length), visibility };
  }
  if (section === "icp:public" || section === "icp:private") {
    return "'icp:' section names must have a space after the public/private scope";
  }
  return `Invalid custom section: Custom section '${section}' has no public/private scope defined.`;
}
