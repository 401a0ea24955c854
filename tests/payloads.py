"""Text that must stay text: markup, scripts and addresses that a browser would act on if they were not escaped."""

from __future__ import annotations

MARK = "xss_mark"
"""What every payload would set in the page, were it run: `window.xss_mark`."""

HOST = "evil.example"
"""The host that a payload would ask for something."""

PAYLOADS = (
    f"<script>window.{MARK}=1</script>",
    f"<img src=x onerror=window.{MARK}=1>",
    f"<img src=https://{HOST}/pixel.png>",
    f"<svg onload=window.{MARK}=1><animate onbegin=window.{MARK}=1 attributeName=x></svg>",
    f"<iframe srcdoc='<script>parent.{MARK}=1</script>'></iframe>",
    f'<form action=https://{HOST}><button formaction="javascript:window.{MARK}=1">Sign in</button></form>',
    f"<style>@import 'https://{HOST}/a.css'; body {{ background: url(https://{HOST}/b.png) }}</style>",
    f'<a href="javascript:window.{MARK}=1">here</a>',
    f'"><img src=x onerror=window.{MARK}=1>',
    f"' autofocus onfocus=window.{MARK}=1 x='",
    f"</textarea></title></style></script><script>window.{MARK}=1</script>",
    f"![a picture](https://{HOST}/markdown.png) [a link](javascript:window.{MARK}=1)",
    f"${{window.{MARK}=1}} {{{{constructor.constructor('window.{MARK}=1')()}}}} `+(window.{MARK}=1)+`",
    f"&lt;img src=x onerror=window.{MARK}=1&gt;",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror=window.{MARK}=1>",
    f"<details open ontoggle=window.{MARK}=1><summary>open</summary></details>",
    "\x00\u202egnp.exe\u2066 \ud800",
    f"<!-- <img src=x onerror=window.{MARK}=1>",
)
