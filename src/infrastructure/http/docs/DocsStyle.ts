/** The style of the reference page; its policy names this text by its hash. */
export const docsStyle = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: light-dark(#0b57d0, #8ab4f8) }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; display: grid; grid-template-columns: 19rem minmax(0, 1fr) }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1rem; border-right: 1px solid var(--line); font-size: .85rem }
nav h2 { font-size: .9rem; margin: 1rem 0 .25rem }
nav ul { list-style: none; margin: 0; padding: 0 }
nav li { padding: .1rem 0; overflow-wrap: anywhere }
main { padding: 1rem 2rem 4rem; max-width: 68rem }
a { color: var(--link); text-decoration: none }
a:hover, a:focus-visible { text-decoration: underline }
h1 small, small { font-weight: normal; opacity: .75; font-size: .85rem }
main h2 { margin-top: 3rem; border-bottom: 2px solid var(--line) }
article, .schema { border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1.25rem 1rem; margin: 1rem 0; scroll-margin-top: 1rem }
article h3 { font-size: 1.1rem; overflow-wrap: anywhere }
h4 { margin: 1.25rem 0 .5rem; font-size: .9rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }
th { font-weight: normal; width: 28%; min-width: 9rem }
td:nth-child(2) { width: 30%; min-width: 9rem }
td:nth-child(3) { min-width: 16rem }
code, pre { font: .85em/1.5 ui-monospace, monospace }
code { background: var(--soft); padding: .1em .3em; border-radius: .25em }
pre { background: var(--soft); padding: .75rem 1rem; border-radius: .5rem; overflow: auto; max-height: 24rem; white-space: pre-wrap; overflow-wrap: anywhere }
details { border-top: 1px solid var(--line); padding: .35rem 0 }
summary { cursor: pointer }
.method { font: bold .75rem ui-monospace, monospace; color: #fff; background: #5f6368; border-radius: .25rem; padding: .15rem .4rem }
.GET { background: #0b57d0 } .POST { background: #1a7f37 } .DELETE { background: #b3261e }
.s2 { color: light-dark(#1a7f37, #6dd58c) } .s4, .s5, .sd { color: light-dark(#b3261e, #f2b8b5) }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: 40vh; border: 0; border-bottom: 1px solid var(--line) } main { padding: 1rem } }
`
