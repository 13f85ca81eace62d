"""The interface described on one page for people, without a script and without a link to elsewhere."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

ABOUT = ("The questions of the application, for programs; both call the same library. Scores are cosines of shared "
         "representations, not probabilities; p and q speak of the null that the answer names. Every refusal is a "
         "sentence under the name message.")


def html(schema: dict[str, Any]) -> str:
    """The description (OpenAPI, as a dictionary) as a page."""
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                           lstrip_blocks=True).get_template("page.html")
    routes = [_route(schema, path, method, told) for path, methods in schema["paths"].items()
              for method, told in methods.items()]
    return template.render(info=schema["info"], routes=routes, answers=_answers(schema))


def _route(schema: dict[str, Any], path: str, method: str, told: dict[str, Any]) -> dict[str, Any]:
    fields = [{"name": field["name"], "where": field["in"], "required": field.get("required", False),
               "kind": kind(field["schema"]), "told": field.get("description", "")}
              for field in told.get("parameters", [])]
    for media, body in told.get("requestBody", {}).get("content", {}).items():
        own = _resolved(schema, body["schema"])
        fields += [{"name": name, "where": "form" if media.startswith("multipart") else "JSON",
                    "required": name in own.get("required", []), "kind": kind(field),
                    "told": field.get("description", "")} for name, field in own.get("properties", {}).items()]
    answer = told["responses"]["200"]["content"]["application/json"]["schema"].get("$ref", "").rpartition("/")[2]
    return {"path": path, "method": method.upper(), "about": told.get("description", ""), "fields": fields,
            "answer": answer}


def _answers(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """What comes back: every form that an answer is made of."""
    forms = schema["components"]["schemas"]
    return [{"name": name, "about": form.get("description", ""),
             "fields": [{"name": field, "kind": kind(told), "told": told.get("description", "")}
                        for field, told in form.get("properties", {}).items()]}
            for name, form in forms.items() if not name.endswith("Asked") and not name.startswith("Body_")
            and name not in ("HTTPValidationError", "ValidationError")]


def kind(schema: dict[str, Any]) -> str:
    """A field's kind in words: `string`, `list of number`, `integer 1 to 50` ..."""
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if schema.get("contentMediaType") or schema.get("format") == "binary":
        return "file"
    if "enum" in schema:
        return " or ".join(repr(value) for value in schema["enum"])
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['type']} {schema['minimum']:g} to {schema['maximum']:g}"
    return str(schema.get("const") or schema.get("type", "any"))


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    name = str(part.get("$ref", "")).rpartition("/")[2]
    return dict(schema["components"]["schemas"][name]) if name else part
