"""HTML and Markdown from the templates in `xraykit/templates`."""

import jinja2

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("xraykit"),
    autoescape=jinja2.select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """Return a template filled in; what goes into HTML is escaped."""
    return _templates.get_template(template).render(**values)
