// The package is written for bundlers: it imports "../errors", without ".js".
import { register } from "node:module";

register("data:text/javascript," + encodeURIComponent(`
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

export async function resolve(specifier, context, next) {
  if (specifier.startsWith(".") && context.parentURL?.startsWith("file:")) {
    const url = new URL(specifier, context.parentURL);
    for (const end of [".js", "/index.js"]) {
      if (!/\\.m?js$/.test(url.pathname) && existsSync(fileURLToPath(url) + end)) return next(url.href + end, context);
    }
  }
  return next(specifier, context);
}`));
