// The pure modules of the page, in the browser that runs them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch } from './browser.mjs';
import { serve } from './program.mjs';

let program;
let browser;
let page;

before(async () => {
  program = await serve('http://127.0.0.1:9/v1');
  browser = await launch();
  page = await browser.open(program.url);
});
after(async () => {
  await browser?.close();
  await program?.stop();
  program?.remove();
});

/** The HTML of a text, to be compared only. */
const drawn = (text) => page.evaluate(async (source) => {
  const { markdown } = await import('/page/markdown.js');
  const box = document.createElement('div');
  box.append(...markdown(source));
  return box.innerHTML;
}, text);

test('markdown_of_the_subset_becomes_elements', async () => {
  for (const [text, html] of [
    ['a **b** _c_ `d` ~~e~~', '<p>a <strong>b</strong> <em>c</em> <code>d</code> <del>e</del></p>'],
    ['# A #\ntext', '<h3>A</h3><p>text</p>'],
    ['- a\n- b\n  - c\n\n1. x', '<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><ol><li>x</li></ol>'],
    ['3. c', '<ol start="3"><li>c</li></ol>'],
    ['```js\na < b\n```', '<pre tabindex="0"><code data-language="js">a &lt; b</code></pre>'],
    ['```\nopen', '<pre tabindex="0"><code>open</code></pre>'],
    ['> q\n> r', '<blockquote><p>q\nr</p></blockquote>'],
    ['a_b_c 2*3*4', '<p>a_b_c 2*3*4</p>'],
    ['\\*no\\*', '<p>*no*</p>'],
    ['---', '<hr>'],
  ]) assert.equal(await drawn(text), html, text);
});

test('markdown_never_makes_html_of_text', async () => {
  for (const text of ['<script>x</script>', '<img src=x onerror=y>', '[a](javascript:b)', '[a](JaVaScRiPt:b)', '[a](vbscript:b)', '[a](data:text/html,b)', '<javascript:b>', '[a](file:///etc/passwd)']) {
    const html = await drawn(text);
    assert.ok(!/<(?!\/?p>)/.test(html), html);
  }
  assert.match(await drawn('[a](https://x.example/?q="><script>)'), /^<p>/);
});

test('markdown_of_hostile_texts_takes_no_time', async () => {
  for (const text of ['*'.repeat(20_000), '['.repeat(20_000), '`'.repeat(19_999) + 'a', '> '.repeat(10_000), '_a'.repeat(10_000), '- '.repeat(5000), '|'.repeat(5000) + '\n' + '|-'.repeat(5000)]) {
    const took = await page.evaluate(async (source) => {
      const { markdown } = await import('/page/markdown.js');
      const before = performance.now();
      markdown(source);
      return performance.now() - before;
    }, text);
    // A bound that only quadratic work misses, on a busy machine too.
    assert.ok(took < 3000, `${text.slice(0, 4)}… took ${took} ms`);
  }
});

test('stream_is_drawn_up_to_where_nothing_changes_any_more', async () => {
  for (const [text, stable] of [['a', 0], ['a\n\n', 3], ['a\n\nb', 3], ['```\na\n\nb', 0], ['```\na\n```\n\n', 11], ['- a\n\n', 0], ['- a\n\nb\n\n', 8]]) {
    const found = await page.evaluate(async (source) => (await import('/page/markdown.js')).stableLength(source), text);
    assert.equal(found, stable, JSON.stringify(text));
  }
});

test('tree_of_spans_has_each_span_once_whatever_the_parents_are', async () => {
  const rows = await page.evaluate(async () => {
    const { rowsOf, treeOf, firstToSee } = await import('/page/spans.js');
    const span = (id, parent, second, status = 'ok') => ({ span_id: id, parent_id: parent, started_at: `2026-01-01T00:00:0${second}Z`, ended_at: `2026-01-01T00:00:09Z`, status });
    const tree = treeOf([span('c', 'b', 3, 'error'), span('a', null, 1, 'error'), span('b', 'a', 2), span('x', 'y', 4), span('y', 'x', 5), span('z', 'gone', 6)]);
    return [rowsOf(tree).map(({ node, depth }) => `${node.span.span_id}${depth}`), rowsOf(tree, new Set(['a'])).map(({ node }) => node.span.span_id), firstToSee(tree), tree.duration];
  });
  assert.deepEqual(rows, [['a0', 'b1', 'c2', 'z0', 'x0', 'y0'], ['a', 'z', 'x', 'y'], 'c', 8000]);
});

test('bodies_of_both_apis_become_a_conversation', async () => {
  const shown = await page.evaluate(async () => {
    const { conversationOf } = await import('/page/spans.js');
    const kinds = (request, response) => conversationOf({ request: JSON.stringify(request), response: JSON.stringify(response) })?.map((item) => item.role ?? item.type);
    return [
      kinds({ messages: [{ role: 'system', content: 's' }, { role: 'user', content: 'u' }, { role: 'assistant', tool_calls: [{ id: '1', function: { name: 'f', arguments: '{}' } }] }, { role: 'tool', tool_call_id: '1', content: 'o' }] }, { choices: [{ message: { content: 'a', role: 'assistant' } }] }),
      kinds({ instructions: 's', input: [{ role: 'user', content: 'u' }, { type: 'function_call', call_id: '1' }] }, { output: [{ type: 'message', role: 'assistant', content: [] }] }),
      kinds({ other: 1 }, null) ?? null,
    ];
  });
  assert.deepEqual(shown, [['system', 'user', 'function_call', 'function_call_output', 'assistant'], ['system', 'user', 'function_call', 'assistant'], null]);
});
