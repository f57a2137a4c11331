# Adds the two nodes of the addon to the editor's list.
tool
extends EditorPlugin


func _enter_tree():
	add_custom_type("NpcCharacter", "Node", preload("npc_character.gd"), null)
	add_custom_type("NpcFace", "Node", preload("npc_face.gd"), null)


func _exit_tree():
	remove_custom_type("NpcCharacter")
	remove_custom_type("NpcFace")
