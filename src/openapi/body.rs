//! What a request's body may be.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::schema::of;

/// A JSON object of one of a few shapes.
pub struct RequestBody {
    /// Of its schema.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// One, or several of which exactly one fits.
    pub shapes: &'static [Shape],
    /// One that passes, as JSON.
    pub example: &'static str,
}

/// A JSON object, in which further members don't matter.
pub struct Shape {
    /// Of its schema.
    pub name: &'static str,
    /// The members that matter.
    pub properties: &'static [Property],
}

/// A member.
pub struct Property {
    /// As it is sent.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// Whether it must be there, and be more than `null`.
    pub required: bool,
    /// What it may be.
    pub schema: fn() -> Schema,
}

impl RequestBody {
    /// As it stands at an operation; its schemas go to the others.
    pub(super) fn value(&self, generator: &mut SchemaGenerator) -> Value {
        let definitions = generator.definitions_mut();
        for shape in self.shapes {
            definitions.insert(shape.name.to_owned(), shape.schema());
        }
        if let [_, _, ..] = self.shapes {
            let all: Vec<Value> = self.shapes.iter().map(|shape| at(shape.name)).collect();
            let all = json!({ "description": self.about, "oneOf": all });
            definitions.insert(self.name.to_owned(), all);
        }
        let example: Value = serde_json::from_str(self.example).unwrap_or_default();
        json!({
            "required": true,
            "description": "JSON, whatever the request's Content-Type says.",
            "content": {
                "application/json": { "schema": at(self.name), "example": example },
            },
        })
    }
}

impl Shape {
    fn schema(&self) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for property in self.properties {
            properties.insert(property.name.to_owned(), property.value());
            if property.required {
                required.push(property.name);
            }
        }
        json!({ "type": "object", "required": required, "properties": properties })
    }
}

impl Property {
    fn value(&self) -> Value {
        let mut schema = (self.schema)();
        let limits = schema.get("description").and_then(Value::as_str);
        let about = match limits {
            Some(limits) => format!("{} {limits}", self.about),
            None => self.about.to_owned(),
        };
        schema.insert("description".to_owned(), about.into());
        schema.into()
    }
}

/// A reference to a schema.
pub(super) fn at(name: &str) -> Value {
    of(json!({ "$ref": format!("#/components/schemas/{name}") })).into()
}
