// What an operator may do from the page: each order is a POST with the token of this process, asked about first.
import {age, setClass, setText} from './view.js';

const id = name => document.getElementById(name);
let token = '';
let afterwards = () => {};

function tell(text, level) {
  setClass(id('action-result'), 'toast ' + level);
  setText(id('action-result'), text);
}

// `query` is the parameter and its value, or nothing.
async function act(name, query, question, done) {
  if (!confirm(question)) return;
  tell('…', 'ok');
  const parameters = query ? `?${query[0]}=${encodeURIComponent(query[1])}` : '';
  try {
    const answer = await fetch(`${location.origin}/api/v1/actions/${name}${parameters}`,
      {method: 'POST', headers: {'X-CSRF-Token': token}});
    const body = await answer.json();
    const details = (body.lines || []).map(line => '\n' + line).join('');
    if (answer.ok) tell(`Done: ${body.text || done}${details}`, 'ok');
    else tell(`Not done: ${body.error}${details}`, 'down');
  } catch (error) {
    tell(`No answer (${error.message}): it may have been done or not.`, 'down');
  }
  afterwards();
}

export const killButton = client => ({
  text: 'Close', label: `Close client ${client.id} at ${client.address}`,
  act: () => act('kill', ['client', client.id], `Close client ${client.id} (${client.name || client.address})?`,
    `client ${client.id} was closed`),
});

// One button at a time: what makes sense for this server now.
export function standingButtons(server, withSentinels) {
  if (server.is_route) return [];
  const order = (name, text, question) => ({
    text, label: `${text} ${server.address}`, act: () => act(name, ['server', server.address], question, `${server.address}: ${name}`),
  });
  if (server.standing !== 'ready') return [order('ready', 'Ready', `End ${server.standing} of ${server.address}?`)];
  const maint = order('maint', 'Maint', withSentinels
    ? `${server.address} may be down from now on, without an alarm. Sentinel may still promote it. Go on?`
    : `${server.address} may be down from now on, and is not followed as a master. Go on?`);
  return withSentinels ? [maint]
    : [order('drain', 'Drain', `Do not follow ${server.address} as a master until it is ready again?`), maint];
}

function orderText(order, word, now) {
  return order.given ? `${word} for ${age(now - order.since_ms)} by ${order.by}` : '';
}

export function showActions(doc, whenDone) {
  token = doc.token || '';
  afterwards = whenDone;
  setClass(document.body, doc.may_act ? '' : 'no-actions');
  const {paused, drained, hold_ms} = doc.operator;
  setText(id('act-pause'), paused.given ? 'Resume' : 'Pause');
  setText(id('act-drain'), drained.given ? 'Ready' : 'Drain');
  setText(id('orders'), [orderText(paused, 'Paused', doc.now_ms), orderText(drained, 'Drained', doc.now_ms)].filter(Boolean).join('; '));
  id('act-pause').onclick = () => paused.given
    ? act('resume', null, 'Let commands go on?', 'resumed')
    : act('pause', null, `Hold all commands of all clients? They wait for at most ${hold_ms / 1000} s, then they fail.`, 'paused');
  id('act-drain').onclick = () => drained.given
    ? act('ready', null, 'Let this instance be chosen again?', 'ready')
    : act('drain', null, doc.vrrp.in_pair
      ? 'Send the address to the peer? Its clients reconnect there. If the peer is not fit, nobody has the address.'
      : 'Let /readyz say no, so that nobody new is sent here? Who comes is served.', 'drained');
  id('act-failover').onclick = () => act('failover', null,
    'Ask a Sentinel to make a replica the master? Commands wait meanwhile, usually for less than a second.', 'asked');
  id('act-reload').onclick = () => act('reload', null, 'Read the configuration file again?', 'read again');
}
