// What was entered, over a reload and "back": in this tab only, until the sign-out or the idle limit.
import { known } from "./session.js";

const KEY = "osteon";
// The limit of a page without sign-in; with one, the session's own.
const IDLE_MS = 15 * 60_000;
let idle = 0;
let newest = 0;

/** Keep what is entered, in place of what was kept before. */
export async function keep(entered) {
  const mine = ++newest;
  const session = await known().catch(() => null);
  if (mine !== newest) return;
  const limit = session ? 1_000 * session.idle_seconds : IDLE_MS;
  // Another session, in the same tab, is another user's or another patient's.
  const kept = { ...entered, until: Date.now() + limit, of: session?.csrf ?? "" };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  clearTimeout(idle);
  idle = setTimeout(forget, limit);
}

/** Return what was kept in this tab and session, or null. */
export async function kept() {
  const text = sessionStorage.getItem(KEY);
  if (!text) return null;
  const session = await known().catch(() => null);
  const found = JSON.parse(text);
  if (found.until > Date.now() && found.of === (session?.csrf ?? "")) return found;
  forget();
  return null;
}

/** Delete what was kept. */
export function forget() {
  newest += 1;
  clearTimeout(idle);
  sessionStorage.removeItem(KEY);
}
