// Who is signed in, what every request must carry, and signing out when nobody uses the page.
const signedIn = "signedIn" in document.body.dataset;
const $ = (id) => document.getElementById(id);
const WARNED_BEFORE = 60_000;
const ASKED_EVERY = 60_000;

let used = Date.now();
let askedAt = Date.now();
let leaving = false;
let latest = null;
let before = null;
// Used in one tab is used in all: they have one session.
const tabs = signedIn ? new BroadcastChannel("osteon") : null;

async function ask() {
  askedAt = Date.now();
  const response = await fetch("/page/session", { cache: "no-store" });
  if (response.status === 401) leave("idle");
  if (!response.ok) throw new Error("no session");
  const found = await response.json();
  // Another launch or sign-in in this browser: what is entered here is of a session that is gone.
  if (latest && latest.csrf !== found.csrf) leave("replaced");
  latest = { ...found, endsAt: Date.now() + 1_000 * found.seconds_left };
  return latest;
}

/** What is known of the session, or null where nobody signs in. */
let asked = signedIn ? ask() : Promise.resolve(null);

/** Return the headers that a request of the page must carry. */
export async function headers() {
  const session = await known();
  return session ? { "x-csrf-token": session.csrf } : {};
}

/** Return what is known of the session; what could not be had is asked for again. */
export async function known() {
  try {
    return await asked;
  } catch {
    asked = ask();
    return asked;
  }
}

/** Look what became of the session, of which a request says that it may not do this. */
export async function askAgain() {
  if (!signedIn) return;
  asked = ask();
  await known().catch(() => null);
}

/** Leave the page at once, with everything on it. */
export function leave(why) {
  if (leaving) return;
  leaving = true;
  document.body.hidden = true;
  location.replace(`/signed-out?why=${why}`);
}

async function signOut(why) {
  // By what was known last: the page may leave before an answer that is awaited comes.
  const session = latest ?? (await known());
  const response = await fetch(`/sign-out?why=${why}`, {
    method: "POST",
    headers: { "x-csrf-token": session.csrf },
    cache: "no-store",
    keepalive: true,
  });
  return response.ok ? (await response.json()).to : `/signed-out?why=${why}`;
}

function use() {
  used = Date.now();
  if ($("signing-out").hidden) return;
  $("signing-out").hidden = true;
  before?.focus();
}

function look() {
  // What was known last: a page that has lost its network ends too.
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
  if (used > askedAt && now - askedAt >= ASKED_EVERY) {
    asked = ask();
    asked.catch(() => null);  // asked for again by the next request
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
  setInterval(look, 1_000);
  // A tablet that slept must not show what it showed before.
  document.addEventListener("visibilitychange", look);
  $("sign-out").addEventListener("click", async () => {
    const to = await signOut("ok").catch(() => "/signed-out");
    leaving = true;
    document.body.hidden = true;
    location.replace(to);
  });
}
