// The session: its user, the token of every request, and the sign-out of an unused page.
const signedIn = "signedIn" in document.body.dataset;
const $ = (id) => document.getElementById(id);
// This file is two folders below the path under which a proxy offers the service.
const BASE = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const WARNED_BEFORE = 60_000;
const REFRESHED_EVERY = 60_000;

let used = Date.now();
let refreshedAt = Date.now();
let leaving = false;
let latest = null;
let before = null;
// All tabs share one session, so use of one counts for all.
const tabs = signedIn ? new BroadcastChannel("osteon") : null;

/** Return the address of one of the service's paths. */
export const address = (path) => `${BASE}${path}`;

async function fetchSession() {
  refreshedAt = Date.now();
  const response = await fetch(address("/page/session"), { cache: "no-store" });
  if (response.status === 401) leave("idle");
  if (!response.ok) throw new Error("no session");
  const session = await response.json();
  // After another launch or sign-in in this browser, these entries belong to an ended session.
  if (latest && latest.csrf !== session.csrf) leave("replaced");
  latest = { ...session, endsAt: Date.now() + 1_000 * session.seconds_left };
  return latest;
}

/** The current session, or null if the service has no sign-in. */
let current = signedIn ? fetchSession() : Promise.resolve(null);

/** Return the headers of the page's requests. */
export async function headers() {
  const session = await known();
  return session ? { "x-csrf-token": session.csrf } : {};
}

/** Return the same at once, for a request while the page is left. */
export const headersNow = () => (latest ? { "x-csrf-token": latest.csrf } : {});

/** Return the session, fetched again after a failure. */
export async function known() {
  return current.catch(() => (current = fetchSession()));
}

/** Fetch the session again after a request was denied. */
export async function refresh() {
  if (signedIn) await (current = fetchSession()).catch(() => null);
}

/** Leave the page at once, with all entries. */
export function leave(why) {
  if (leaving) return;
  leaving = true;
  document.body.hidden = true;
  sessionStorage.clear();
  location.replace(address(`/signed-out?why=${why}`));
}

let last = async () => null;

/** Name what is done with the session before it ends, in a second at most. */
export function beforeSignOut(task) {
  last = task;
}

async function signOut(why) {
  await Promise.race([last(), new Promise((done) => setTimeout(done, 1_000))]);
  // From the latest session: the page may leave before another answer arrives.
  const session = latest ?? (await known());
  const response = await fetch(address(`/sign-out?why=${why}`), {
    method: "POST",
    headers: { "x-csrf-token": session.csrf },
    cache: "no-store",
    keepalive: true,
  });
  return response.ok ? (await response.json()).to : address(`/signed-out?why=${why}`);
}

function use() {
  used = Date.now();
  if ($("signing-out").hidden) return;
  $("signing-out").hidden = true;
  before?.focus();
}

function checkSession() {
  // The latest session: a page without a network ends, too.
  const session = latest;
  if (!session || leaving) return;
  const now = Date.now();
  const quiet = now - used;
  const idle = 1_000 * session.idle_seconds;
  if (quiet >= idle || now >= session.endsAt) {
    const why = quiet >= idle ? "idle" : "lifetime";
    signOut(why).catch(() => null);
    leave(why);
    return;
  }
  if (quiet >= idle - WARNED_BEFORE && $("signing-out").hidden) {
    before = document.activeElement;
    $("signing-out").hidden = false;
    $("stay").focus();
  }
  if (used > refreshedAt && now - refreshedAt >= REFRESHED_EVERY) {
    current = fetchSession();
    current.catch(() => null);  // the next request fetches it again
  }
}

if (signedIn) {
  known().then(
    (session) => {
      $("who-is-signed-in").textContent = session.name ? `Signed in: ${session.name}` : "Signed in";
    },
    () => null,
  );
  for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
    addEventListener(kind, () => {
      use();
      tabs.postMessage("used");
    });
  }
  tabs.addEventListener("message", use);
  setInterval(checkSession, 1_000);
  // A tablet must not show an ended session when it wakes.
  document.addEventListener("visibilitychange", checkSession);
  $("sign-out").addEventListener("click", async () => {
    const to = await signOut("ok").catch(() => address("/signed-out"));
    leaving = true;
    document.body.hidden = true;
    sessionStorage.clear();
    location.replace(to);
  });
}
