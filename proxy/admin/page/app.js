// Asks /api/v1/status every second and shows it. The charts ask only for the samples they do not have.
import {killButton, showActions, standingButtons} from './actions.js';
import {Chart} from './charts.js';
import {age, bytes, clock, fill, micros, millis, number, setClass, setText} from './view.js';

const id = name => document.getElementById(name);
const options = location.href.split(';').slice(1).map(option => option.split(/[?#&]/)[0]);
const onlyUp = options.includes('up');
// The page's address may hold user and password, which fetch refuses.
const at = path => location.origin + path;
const POLL_MS = 1000, HISTORY_MAX = 300;
let live = !options.includes('norefresh');
let history = [];
let answeredAt = 0;

const charts = {
  commands: new Chart(id('chart-commands'), 'Commands a second', [s => s.commands], number),
  latency: new Chart(id('chart-latency'), 'Latency, p50 and p99', [s => s.p50_us, s => s.p99_us], v => micros(v)),
  clients: new Chart(id('chart-clients'), 'Clients', [s => s.clients], number),
  held: new Chart(id('chart-held'), 'Clients waiting for a master', [s => s.held], number),
};

const WORDS = {ok: 'Healthy.', warn: 'Attention.', down: 'Not serving.'};

function showSummary(doc) {
  const s = doc.summary, last = history[history.length - 1];
  setClass(id('verdict'), 'verdict ' + s.level);
  setText(id('verdict-word'), WORDS[s.level]);
  setText(id('verdict-text'), s.text);
  setText(id('listen'), doc.listen);
  setText(id('version'), 'version ' + doc.version);
  setText(id('uptime'), 'up ' + age(doc.uptime_s * 1000));
  document.title = (s.level === 'ok' ? '' : WORDS[s.level] + ' ') + 'fairlead' + (s.master ? ' – ' + s.master.address : '');
  setText(id('tile-master'), s.master && s.state === 'steady' ? s.master.address : s.master ? 'none now' : 'none yet');
  setText(id('tile-master-sub'), !s.master ? s.state : s.state === 'steady'
    ? `for ${age(doc.now_ms - s.master.since_ms)}; ${standby(doc)}; Redis ${s.master.version}, term ${s.master.term}`
    : `${s.state}; it was ${s.master.address}`);
  if (last) {
    setText(id('tile-load'), number(last.commands) + '/s');
    setText(id('tile-load-sub'), `${bytes(last.bytes_in)}/s in, ${bytes(last.bytes_out)}/s out`);
    setText(id('tile-latency'), micros(last.p50_us));
    setText(id('tile-latency-sub'), `p99 ${micros(last.p99_us)}, p99.9 ${micros(last.p999_us)}`);
  }
  setText(id('tile-clients'), number(s.clients));
  setText(id('tile-clients-sub'), `of ${number(s.clients_max)}; ${s.held} waiting; ${s.links} links`);
  showLastFailover(doc);
}

// Who could take over, and who would decide it.
function standby(doc) {
  const replicas = doc.servers.filter(s => !s.is_route && s.reachable && s.role === 'replica');
  const lag = Math.max(0, ...replicas.map(s => s.lag_bytes));
  const count = `${replicas.length} ${replicas.length === 1 ? 'replica' : 'replicas'}`;
  const sentinels = doc.sentinels.length ? `, ${doc.sentinels.filter(s => s.usable).length} of ${doc.sentinels.length} Sentinels` : '';
  return (replicas.length ? `${count} at most ${bytes(lag)} behind` : 'no replica') + sentinels;
}

function showLastFailover(doc) {
  const latest = doc.failovers.find(f => f.kind === 'ongoing') || doc.failovers.find(f => f.kind === 'failover');
  if (!latest) {
    setText(id('tile-failover'), 'none');
    setText(id('tile-failover-sub'), `since the start ${age(doc.uptime_s * 1000)} ago`);
  } else if (latest.kind === 'ongoing') {
    setText(id('tile-failover'), 'under way for ' + millis(doc.now_ms - latest.detected_ms));
    setText(id('tile-failover-sub'), `from ${latest.from}; ${doc.summary.held} clients wait`);
  } else {
    setText(id('tile-failover'), age(doc.now_ms - latest.detected_ms) + ' ago, pause ' + millis(latest.until_released_ms));
    setText(id('tile-failover-sub'), `${latest.from} → ${latest.to}; cost: ${latest.uncertain} uncertain, ` +
      `${latest.master_down} failed, ${latest.held} times commands waited`);
  }
}

function showCharts(doc) {
  const marks = doc.failovers.map(f => f.detected_ms);
  for (const name in charts) charts[name].draw(history, doc.now_ms, marks);
  const last = history[history.length - 1];
  if (!last) return;
  setText(id('now-commands'), number(last.commands));
  setText(id('now-latency'), `${micros(last.p50_us)} / ${micros(last.p99_us)}`);
  setText(id('now-clients'), number(last.clients));
  setText(id('now-held'), number(last.held));
}

const HAPROXY_COLUMNS = ['svname', 'qcur', 'qmax', 'qlimit', 'rate', 'rate_max', 'rate_lim', 'scur', 'smax', 'slim', 'stot',
  'lbtot', 'lastsess', 'bin', 'bout', 'dreq', 'dresp', 'ereq', 'econ', 'eresp', 'wretr', 'wredis', 'status', 'last_chk',
  'weight', 'act', 'bck', 'chkfail', 'chkdown', 'downtime', 'throttle'];

function haproxyText(row, column) {
  const value = row[column];
  if (column === 'status') return row.lastchg === undefined ? value : `${age(row.lastchg * 1000)} ${value}`;
  if (column === 'last_chk') return row.check_status ? `${row.check_status}: ${value || ''}` : '';
  if (column === 'act') return row.type === '2' ? (value === '1' ? 'Y' : '–') : value || '';
  if (column === 'bck') return row.type === '2' ? (value === '1' ? 'Y' : '–') : value || '';
  if (value === undefined) return '';
  if (column === 'bin' || column === 'bout') return bytes(value);
  if (column === 'downtime') return age(Number(value) * 1000);
  return column === 'svname' || column === 'throttle' ? value : number(value);
}

function haproxyClass(row) {
  if (row.type === '0') return 'frontend';
  if (row.type === '1') return 'backend';
  if (row.status === 'DOWN') return 'row-down';
  if (row.status === 'MAINT') return 'maintenance';
  if (row.status === 'DRAIN') return 'draining';
  if (row.status !== 'UP') return 'going-down';
  return row.act === '1' ? 'active-up' : 'backup-up';
}

function showServers(doc) {
  const rows = doc.haproxy.filter(row => !(onlyUp && row.type === '2' && row.status === 'DOWN'));
  fill(id('haproxy'), rows, row => row.svname,
    row => HAPROXY_COLUMNS.map(column => ({text: haproxyText(row, column)})), haproxyClass, '');
  fill(id('servers'), doc.servers, s => s.address, s => [
    {text: s.address, cls: 'mono'},
    s.is_route ? {text: doc.summary.state === 'steady' ? 'master' : 'master, in doubt',
                  badge: doc.summary.state === 'steady' ? 'ok' : 'warn'}
      : {text: s.standing === 'ready' ? s.role : `${s.role}, ${s.standing}`,
         badge: s.rogue ? 'down' : s.standing === 'ready' ? 'none' : 'warn'},
    {text: s.reachable ? 'yes' : 'no', badge: s.reachable ? 'ok' : s.standing === 'maint' ? 'none' : 'down'},
    {text: s.offset < 0 ? '–' : s.offset, cls: 'num'},
    {text: s.lag_bytes < 0 ? '–' : bytes(s.lag_bytes), cls: 'num'},
    {text: s.run_id.slice(0, 8), title: s.run_id, cls: 'mono'},
    {text: s.term === undefined ? '' : s.term, cls: 'num'},
    {text: s.rogue ? 'says master and is not: nothing is sent to it' : s.last_error, cls: 'text'},
    {buttons: standingButtons(s, doc.sentinels.length > 0), cls: 'action'},
  ], null, 'No server is known yet.');
  fill(id('sentinels'), doc.sentinels, s => s.address, s => [
    {text: s.address, cls: 'mono'},
    {text: s.usable ? 'yes' : 'no', badge: s.usable ? 'ok' : 'down'},
    {text: s.vote || '–', cls: 'mono'},
    {text: s.config_epoch, cls: 'num'},
    {text: s.last_error, cls: 'text'},
  ], null, 'No Sentinel is configured: servers are asked for their role.');
}

function steps(f) {
  const named = f.until_named_ms < 0 ? '' : ` → ${millis(f.until_named_ms)}`;
  return `0${named} → ${f.until_released_ms < 0 ? '…' : millis(f.until_released_ms)}`;
}

function showFailovers(doc) {
  const badges = {ongoing: 'down', failover: 'warn', interruption: 'none'};
  fill(id('failovers'), doc.failovers, f => f.id, f => [
    {text: clock(f.detected_ms)},
    {text: f.kind, badge: badges[f.kind]},
    {text: f.from, cls: 'mono'},
    {text: f.to || '…', cls: 'mono'},
    {text: f.term, cls: 'num'},
    {text: f.kind === 'ongoing' ? millis(doc.now_ms - f.detected_ms) : millis(f.until_released_ms), cls: 'num'},
    {text: steps(f)},
    {text: f.held, cls: 'num'},
    {text: f.redispatched, cls: 'num'},
    {text: f.uncertain, cls: 'num'},
    {text: f.master_down, cls: 'num'},
    {text: f.cause, cls: 'text'},
  ], null, 'None since the start.');
}

function showCommands(doc) {
  const rows = doc.commands.slice().sort((a, b) => b.rate - a.rate || b.calls - a.calls);
  fill(id('commands'), rows, c => c.name, c => [
    {text: c.name + (c.blocking ? ' (waits by intent)' : ''), cls: 'mono'},
    {text: number(c.rate) + '/s', cls: 'num'},
    {text: number(c.calls), cls: 'num'},
    {text: number(c.errors), cls: 'num'},
    {text: micros(c.recent.p50_us), cls: 'num'},
    {text: micros(c.recent.p99_us), cls: 'num'},
    {text: micros(c.recent.p999_us), cls: 'num'},
    {text: micros(c.max_us), cls: 'num'},
  ], null, 'No command yet.');
  fill(id('slow'), doc.slow, e => `${e.at_ms}/${e.client_id}/${e.duration_us}/${e.args.join(' ')}`, e => [
    {text: clock(e.at_ms)},
    {text: micros(e.duration_us), cls: 'num'},
    {text: e.args.join(' '), cls: 'text mono'},
    {text: e.client_name || 'id ' + e.client_id},
  ], null, 'None took 10 ms or longer.');
  fill(id('hot'), doc.hot.slice(0, 15), k => k.key, k => [
    {text: k.key, cls: 'mono text'},
    {text: (k.share * 100).toFixed(1) + ' %', cls: 'num'},
    {text: k.error ? `${k.samples} (−${k.error})` : k.samples, cls: 'num'},
  ], null, 'One command in 64 is sampled; none yet.');
  fill(id('big'), doc.big.slice(0, 15), k => k.key, k => [
    {text: k.key, cls: 'mono text'},
    {text: k.command, cls: 'mono'},
    {text: bytes(k.bytes), cls: 'num'},
    {text: clock(k.seen_ms)},
  ], null, 'No value of 16 KB or more was seen.');
}

function showClients(doc) {
  const states = {held: 'warn', 'does not read': 'warn', 'waits for a link': 'warn'};
  fill(id('clients'), doc.clients, c => c.id, c => [
    {text: c.id},
    {text: c.address, cls: 'mono'},
    {text: c.name},
    {text: c.state, badge: states[c.state] || 'none'},
    {text: c.user},
    {text: c.db, cls: 'num'},
    {text: c.resp, cls: 'num'},
    {text: c.in_flight, cls: 'num'},
    {text: bytes(c.unread_bytes), cls: 'num'},
    {text: bytes(c.unsent_bytes), cls: 'num'},
    {text: millis(c.idle_ms), cls: 'num'},
    {buttons: [killButton(c)], cls: 'action'},
  ], null, 'No client is connected.');
}

function showEvents(doc) {
  const badges = {warning: 'warn', error: 'down', info: 'none', debug: 'none'};
  fill(id('events'), doc.events, e => `${e.at_ms}/${e.kind}/${e.subject}`, e => [
    {text: clock(e.at_ms)},
    {text: e.kind.replaceAll('_', ' '), badge: badges[e.severity]},
    {text: e.text, cls: 'text'},
  ], null, 'Nothing has happened yet.');
}

function showLinks(doc) {
  fill(id('links'), doc.links, l => l.id, l => [
    {text: l.server, cls: 'mono'},
    {text: l.kind},
    {text: l.state, badge: l.state === 'ready' ? 'ok' : 'warn'},
    {text: l.worker, cls: 'num'},
    {text: l.user || '(fairlead)'},
    {text: l.db, cls: 'num'},
    {text: l.in_flight, cls: 'num'},
    {text: bytes(l.unsent_bytes), cls: 'num'},
    {text: bytes(l.sent_bytes), cls: 'num'},
    {text: bytes(l.received_bytes), cls: 'num'},
    {text: age(l.age_ms), cls: 'num'},
    {text: l.client_id || '', cls: 'num'},
  ], null, 'No link is open: the first command opens one.');
}

function showPair(doc) {
  id('pair').hidden = !doc.vrrp.in_pair;
  if (!doc.vrrp.in_pair) return;
  const v = doc.vrrp;
  const rows = [
    ['Address', v.address, v.address_here === 'yes' ? 'here' : 'not here', v.address_here === 'yes' ? 'ok' : 'none', `for ${age(v.for_seconds * 1000)}`],
    ['keepalived', v.instance, v.keepalived, v.keepalived === 'MASTER' ? 'ok' : 'none', `priority ${v.priority}`],
    ['This instance', '', v.verdict === 'fit' ? 'fit' : 'unfit', v.verdict === 'fit' ? 'ok' : 'warn', v.verdict === 'fit' ? '' : v.verdict.replace(/^unfit: /, '')],
    ['Guard', v.ready_file, v.guard, v.guard === 'up' ? 'ok' : 'down', `the file says ${v.ready_value}; restarted ${v.guard_restarts} times`],
    ['Moves', '', `${v.gains} came, ${v.losses} went`, 'none', `${v.clients_reset} clients let go`],
  ];
  fill(id('vrrp'), rows, r => r[0], r => [{text: r[0]}, {text: r[1], cls: 'mono'}, {text: r[2], badge: r[3]}, {text: r[4], cls: 'text'}], null, '');
}

function show(doc) {
  history = history.concat(doc.history).slice(-HISTORY_MAX);
  showActions(doc, poll);
  showSummary(doc);
  showCharts(doc);
  showServers(doc);
  showFailovers(doc);
  showCommands(doc);
  showClients(doc);
  showLinks(doc);
  showPair(doc);
  showEvents(doc);
}

async function poll() {
  const after = history.length ? history[history.length - 1].t : 0;
  try {
    const answer = await fetch(at(`/api/v1/status?after=${after}`), {cache: 'no-store'});
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    show(await answer.json());
    answeredAt = Date.now();
    setText(id('freshness'), '');
  } catch (error) {
    setClass(id('verdict'), 'verdict down');
    setText(id('verdict-word'), 'No answer.');
    setText(id('verdict-text'), `fairlead does not answer (${error.message}); what is shown is ` +
      (answeredAt ? age(Date.now() - answeredAt) + ' old' : 'nothing'));
  }
}

function showLive() {
  id('refresh').setAttribute('aria-pressed', String(live));
  setText(id('refresh'), live ? 'Live' : 'Stopped');
}

async function turn() {
  if (live && !document.hidden) await poll();
  setTimeout(turn, POLL_MS);
}

id('refresh').addEventListener('click', () => { live = !live; showLive(); });
showLive();
poll().then(() => setTimeout(turn, POLL_MS));
