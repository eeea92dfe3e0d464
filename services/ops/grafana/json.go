package grafana

import (
	"bytes"
	"encoding/json"
)

// The schema of Grafana's dashboards, as much of it as is used. Grafana brings
// older versions up to date when it loads them.
const schemaVersion = 39 // Grafana 11

// tag is what all dashboards have in common, and find each other by.
const tag = "skybridge"

const (
	columns      = 24
	rowHeight    = 1
	linesHeight  = 8
	linesWidth   = 8
	numberHeight = 4
	numberWidth  = 4
)

type object = map[string]any

// source is the Prometheus that was chosen.
var source = object{"type": "prometheus", "uid": "${datasource}"}

// JSON returns the file that Grafana loads. Keys are in alphabetical order, so
// that a change shows as what it is.
func (d Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"uid": d.uid(), "title": "Skybridge: " + d.Title, "description": d.Text, "tags": []string{tag},
		"schemaVersion": schemaVersion, "editable": true, "graphTooltip": 1, // one cursor for all panels
		"refresh": "30s", "time": object{"from": "now-3h", "to": "now"}, "timezone": "browser",
		"links": []object{{
			"type": "dashboards", "title": "Skybridge", "tags": []string{tag}, "asDropdown": false,
			"icon": "external link", "tooltip": "The other dashboards of Skybridge",
			"includeVars": true, "keepTime": true, "targetBlank": false,
		}},
		"annotations": object{"list": []object{{
			"name": "Restarts", "enable": true, "iconColor": "orange", "datasource": source,
			"expr": restarts, "step": "60s", "titleFormat": "{{instance}} restarted",
		}}},
		"templating": object{"list": variables()},
		"panels":     d.panels(),
	})
	return b.Bytes(), err
}

func (d Dashboard) uid() string { return tag + "-" + d.Name }

// restarts marks when nodes have started.
const restarts = `changes(process_start_time_seconds{` + nodes + `, job="skybridge"}[1m]) > 0`

// variables are what is chosen at the top of the page.
func variables() []object {
	const values = "label_values(skybridge_build_info, instance)"
	return []object{
		{
			"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
			"refresh": 1, "hide": 0, "includeAll": false, "multi": false, "regex": "", "options": []string{},
		},
		{
			"name": "node", "label": "Node", "type": "query", "datasource": source, "definition": values,
			"query":   object{"qryType": 1, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
			"refresh": 2, "hide": 0, "sort": 1, "includeAll": true, "multi": true, "allValue": ".*", "regex": "", "options": []string{},
			"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
		},
	}
}

// panels flows the panels of each row from left to right.
func (d Dashboard) panels() []object {
	var all []object
	id, y := 0, 0
	add := func(p object, x, width, height int) {
		id++
		p["id"], p["gridPos"] = id, object{"x": x, "y": y, "w": width, "h": height}
		all = append(all, p)
	}
	for _, row := range d.Rows {
		add(object{"type": "row", "title": row.Title, "collapsed": false, "panels": []object{}}, 0, columns, rowHeight)
		y += rowHeight
		x, tallest := 0, 0
		for _, p := range row.Panels {
			width, height := p.size()
			if x+width > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			add(p.object(), x, width, height)
			x, tallest = x+width, max(tallest, height)
		}
		y += tallest
	}
	return all
}

func (p Panel) size() (width, height int) {
	width, height = linesWidth, linesHeight
	if p.Look == Number {
		width, height = numberWidth, numberHeight
	}
	if p.Width != 0 {
		width = p.Width
	}
	return width, height
}

func (p Panel) object() object {
	defaults := object{"unit": p.Unit, "color": object{"mode": "palette-classic"}, "thresholds": p.thresholds()}
	if p.Max != 0 {
		defaults["max"] = p.Max
	}
	o := object{
		"title": p.Title, "description": p.Text, "datasource": source, "targets": p.targets(),
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}},
	}
	if p.Look == Number {
		o["type"] = "stat"
		defaults["color"] = object{"mode": "thresholds"}
		o["options"] = object{
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
			"colorMode":     "value", "graphMode": "area", "textMode": "auto", "justifyMode": "auto", "orientation": "auto",
		}
		return o
	}
	o["type"] = "timeseries"
	defaults["min"] = 0
	custom := object{
		"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 8, "showPoints": "auto",
		"spanNulls": false, "stacking": object{"mode": "none", "group": "A"}, "thresholdsStyle": object{"mode": "off"},
	}
	if p.Look == Stacked {
		custom["fillOpacity"], custom["stacking"] = 40, object{"mode": "normal", "group": "A"}
	}
	if p.Warn != 0 || p.Bad != 0 {
		custom["thresholdsStyle"] = object{"mode": "dashed"}
	}
	defaults["custom"] = custom
	o["options"] = object{
		"legend":  object{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"lastNotNull", "max"}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
	return o
}

// thresholds are steps of colours, upwards; the first has no value.
func (p Panel) thresholds() object {
	step := func(colour string, value any) object { return object{"color": colour, "value": value} }
	steps := []object{step("green", nil)}
	switch {
	case p.Warn == 0 && p.Bad == 0:
	case p.Bad >= p.Warn:
		steps = append(steps, step("yellow", p.Warn), step("red", p.Bad))
	default:
		steps = []object{step("red", nil), step("yellow", p.Bad), step("green", p.Warn)}
	}
	return object{"mode": "absolute", "steps": steps}
}

func (p Panel) targets() []object {
	all := make([]object, len(p.Queries))
	for i, q := range p.Queries {
		all[i] = object{
			"refId": string(rune('A' + i)), "datasource": source, "editorMode": "code", "range": true, "instant": false,
			"expr": q.promQL(), "legendFormat": q.Legend,
		}
	}
	return all
}
